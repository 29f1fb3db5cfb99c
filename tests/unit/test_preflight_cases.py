"""Preflight by case files: a manifest and facts → the findings, word for word.

Each file in tests/cases/preflight says in `reason` what it is about. `expected` holds the findings
as a terminal without colour shows them; it is empty where nothing may be found.
PROVISION_UPDATE_CASES=1 writes what is found into the files: read the difference.
"""

from __future__ import annotations

import asyncio
import io
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioner import manifest
from provisioner.cli.render.problems import problem_text
from provisioner.cloud import Observed
from provisioner.desired import Desired, desired
from provisioner.observe import constraints, observe
from provisioner.plan import Options as Planning
from provisioner.plan import Plan, destroy, plan, resolve
from provisioner.plan.steps import Delete, Replace
from provisioner.preflight import CHECKS, Constraints, Options, arranged, check
from provisioner.preflight.consent import TERMS_ACCEPTED
from tests.plan_cases import WORKSPACE
from tests.unit.preflight_cloud import FactCloud

FOLDER = Path(__file__).parent.parent / "cases" / "preflight"
CASES = sorted(FOLDER.glob("*.yaml"))
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    text = path.read_text("utf-8")
    case = yaml.safe_load(text)
    found = asyncio.run(_findings(case, about_consent=path.stem.startswith("consent")))
    if os.environ.get("PROVISION_UPDATE_CASES"):
        head = text.split("\nexpected:", 1)[0]
        body = "".join(f"  {line}".rstrip() + "\n" for line in found.splitlines())
        path.write_text(f"{head}\nexpected: |\n{body}" if found else f"{head}\nexpected: ''\n")
        return
    assert found == case["expected"], case["reason"]


async def _arranged(
    case: dict[str, Any], options: Options
) -> tuple[Plan, Desired, Observed, Constraints]:
    """The plan as it would be carried out, with what it rests on."""
    cloud = FactCloud(case.get("facts") or {})
    loaded = manifest.load(["-"], stdin=io.StringIO(case["manifest"]))
    wanted = desired(loaded, stack="default", accept_terms=case.get("acceptTerms", True))
    observed = await observe(cloud, wanted, whole=case.get("prune", False))
    if case.get("destroy"):
        steps = destroy(wanted, observed, NOW)
    else:
        steps = plan(wanted, observed, NOW, Planning(prune=case.get("prune", False)))
    facts = await constraints(cloud, steps, observed, wanted, options)
    steps = arranged(resolve(steps, facts.versions()), wanted, observed, facts)
    return steps, wanted, observed, facts


async def _findings(case: dict[str, Any], *, about_consent: bool) -> str:
    options = Options(**{_snake(key): value for key, value in case.get("options", {}).items()})
    steps, wanted, observed, facts = await _arranged(case, options)
    findings = check(steps, wanted, observed, facts, options)
    # The note on accepted terms is in every case that buys; only the consent cases are about it.
    told = [one for one in findings if about_consent or one.code is not TERMS_ACCEPTED]
    return "\n".join(problem_text(one) for one in told)


_DEPLOYMENT = """\
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {name: new-NUMBER}
spec:
  workspace: ml-prod
  model: azureml/Phi-4/versions/5
  target:
    managedCompute: {endpointName: phi, instanceType: Standard_NC24ads_A100_v4, traffic: 0}
"""


@pytest.mark.parametrize(("state", "many"), [("Deleting", False), ("Succeeded", True)])
def test_what_goes_with_its_endpoint_is_not_counted_beside_what_is_made(
    state: str, *, many: bool
) -> None:
    """An endpoint may have 20 deployments: 11 of one that is going and 10 of the next do not add
    up, though no step of the plan deletes the 11."""
    size, model = "Standard_NC24ads_A100_v4", "azureml/Phi-4/versions/5"
    common = {"endpoint": "phi", "endpointState": state, "model": model, "size": size}
    live = [{"name": f"old-{number}", **common} for number in range(11)]
    text = "".join(_DEPLOYMENT.replace("NUMBER", str(number)) for number in range(10))
    case = {"facts": {"live": {"deployments": live}}, "manifest": WORKSPACE + text}
    found = asyncio.run(_findings(case, about_consent=False))
    assert ("preflight.too-many" in found) is many


def test_what_waits_for_room_serves_meanwhile() -> None:
    """phi moves to the size of what is pruned: traffic leaves it only when that is gone."""
    model = "azureml/Phi-4/versions/5"
    a100, h100 = "Standard_NC24ads_A100_v4", "Standard_NC40ads_H100_v5"
    live = [
        {"name": "phi", "endpoint": "phi", "model": model, "size": h100},
        {"name": "old", "endpoint": "old", "model": model, "size": a100},
    ]
    cores = {"eastus2": {"standardNCADSA100v4Family": "24/24"}}
    wish = _DEPLOYMENT.replace("new-NUMBER", "phi").replace("traffic: 0", "traffic: 100")
    case = {"facts": {"live": {"deployments": live}, "cores": cores}, "prune": True}
    steps, *_ = asyncio.run(_arranged({**case, "manifest": WORKSPACE + wish}, Options()))
    needs = {step.id: step.needs for step in steps.steps}
    (replaced,) = (step for step in steps.steps if isinstance(step, Replace))
    (gone,) = (
        step.id
        for step in steps.steps
        if isinstance(step, Delete) and step.target.name == "old" and step.target.parent
    )
    assert gone in needs[replaced.id]
    diverted = [id for id in replaced.needs if id.startswith("drain:")]
    assert diverted
    assert all(gone in needs[id] for id in diverted)


def _snake(key: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in key)


def test_every_check_has_a_case_that_fires_and_one_that_does_not() -> None:
    modules = {one.__module__.rsplit(".", 1)[1] for one in CHECKS}
    fires = {path.stem.split("-")[0] for path in CASES if "expected: |" in path.read_text("utf-8")}
    quiet = {path.stem.split("-")[0] for path in CASES if "expected: ''" in path.read_text("utf-8")}
    assert modules <= fires
    assert modules <= quiet
