"""A service that takes a request and keeps a value of its own."""

from __future__ import annotations

from dataclasses import replace

from provisioner.apply import Report, execute
from provisioner.desired import desired
from provisioner.events import ignore
from provisioner.manifest.load import load_text
from provisioner.observe import observe
from provisioner.plan import Options, plan
from provisioner.resources import OnlineDeployment, Resource
from tests.fake_clock import FakeClock
from tests.fakes import FakeCloud
from tests.plan_cases import HEAD, WORKSPACE

MANIFEST = """metadata: {name: phi}
spec:
  workspace: ml-prod
  model: azureml://registries/azureml/models/Phi-4/versions/7
  target:
    managedCompute:
      instanceType: Standard_NC24ads_A100_v4
      instanceCount: 1
      environmentVariables: {A: b}
"""


class Willful(FakeCloud):
    """Adds an environment variable to every deployment."""

    def _stored(self, resource: Resource) -> Resource:
        stored = super()._stored(resource)
        if not isinstance(stored, OnlineDeployment):
            return stored
        return replace(stored, environment_variables={"A": "b", "OWN": "1"})


def test_it_is_told_which_values_it_keeps() -> None:
    wish = desired(load_text(f"{WORKSPACE}---\n{HEAD}{MANIFEST}", file="m.yaml"), stack="default")
    cloud = Willful(FakeClock())

    async def run() -> Report:
        observed = await observe(cloud, wish, whole=True)
        found = plan(wish, observed, cloud.clock.now(), Options())
        return await execute(found, cloud, cloud.clock, ignore)

    failed = [one.problem for one in cloud.clock.run(run()).results if one.problem is not None]
    assert [problem.code.id for problem in failed] == ["apply.not-taken"]
    assert "environmentVariables.OWN" in failed[0].what
