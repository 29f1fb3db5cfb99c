"""What preflight costs of its own: 1,000 manifests in 100 workspaces, no network.

The facts come from a cloud in memory, so that what is measured is this program. Printed are the
CPU seconds of planning and of preflight (questions, facts, checks), and the reads by kind: they
go by workspace, subscription, region and model, never by manifest. Limit: 0.5 s beyond the plan.

    python -m benchmarks.preflight_cpu [manifests] [workspaces]
"""

from __future__ import annotations

import asyncio
import io
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from benchmarks.results import Line, Value
from provisioner import manifest
from provisioner.desired import desired
from provisioner.observe import constraints, observe
from provisioner.plan import plan
from provisioner.preflight import Options, blocking, check
from tests.unit.preflight_cloud import FactCloud

LIMIT = 0.5
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
SERVERLESS = (
    "Llama-3.3-70B-Instruct",
    "Llama-3.2-1B-Instruct",
    "Llama-3.2-3B-Instruct",
    "Llama-Guard-3-1B",
    "Llama-Guard-3-11B-Vision",
)


def documents(count: int, workspaces: int) -> str:
    """Half serverless, half managed, spread evenly; each writes an output."""
    parts = [
        f"""\
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {{name: ws-{number}}}
spec:
  subscriptionId: {SUBSCRIPTION}
  resourceGroup: rg-{number}
  region: eastus2
"""
        for number in range(workspaces)
    ]
    for number in range(count):
        turn = number // workspaces
        if turn % 2 == 0:
            model = f"azureml-meta/{SERVERLESS[turn // 2 % len(SERVERLESS)]}"
            target = "{serverless: {}}"
        else:
            model = "azureml/Phi-4/versions/5"
            target = "{managedCompute: {instanceType: Standard_NC24ads_A100_v4, instanceCount: 1}}"
        parts.append(
            f"""\
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {{name: model-{number}}}
spec:
  workspace: ws-{number % workspaces}
  model: {model}
  target: {target}
  outputs: [{{dotenv: {{path: out/model-{number}.env}}}}]
"""
        )
    return "---\n".join(parts)


async def measure(count: int, workspaces: int) -> list[Line]:
    loaded = manifest.load(["-"], stdin=io.StringIO(documents(count, workspaces)))
    cloud = FactCloud({"cores": {"eastus2": {"standardNCADSA100v4Family": "0/100000"}}})
    wanted = desired(loaded, stack="default", accept_terms=True)
    observed = await observe(cloud, wanted)
    started = time.process_time()
    steps = plan(wanted, observed, NOW)
    planned = time.process_time() - started
    cloud.reads.clear()
    started = time.process_time()
    facts = await constraints(cloud, steps, observed, wanted)
    asked = time.process_time() - started
    findings = check(steps, wanted, observed, facts, Options(ignore_limits=True))
    took = time.process_time() - started
    return [
        f"{count:,} manifests, {len(steps.steps):,} steps, {len(findings)} findings. The plan "
        f"takes {planned:.2f} s of CPU, preflight's questions and answers {asked:.2f} s. Reads: "
        + ", ".join(f"{reads} {kind}" for kind, reads in sorted(cloud.reads.items()))
        + ".\n",
        Value("CPU of preflight beyond the plan's", took, LIMIT, "s"),
        Value("reads per workspace", round(cloud.reads.total() / workspaces, 2), 4, ""),
        Value("findings that block", len(blocking(findings)), 0, ""),
    ]


def run(count: int = 1000, workspaces: int = 100) -> Iterator[Line]:
    yield f"\n### Preflight of {count:,} manifests in {workspaces} workspaces\n"
    yield from asyncio.run(measure(count, workspaces))


if __name__ == "__main__":
    for line in run(*(int(one) for one in sys.argv[1:3])):
        print(line)
