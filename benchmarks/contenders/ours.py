"""The pipeline of this project on a manifest, without the screen.

`python -m benchmarks.contenders.ours apply|find URL CA MANIFEST`; finds what is unchanged, or
applies and writes the outputs. Leaves with 1 when it did not end as it should.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from provisioner.garbage import seldom_collected

with seldom_collected():
    import azure.identity.aio  # noqa: F401

    from provisioner import apply, manifest, outputs, pipeline, preflight, wiring
    from provisioner.azure.opening import open_cloud as _open  # noqa: F401
    from provisioner.events import ignore


async def main(job: str, url: str, ca: str, path: str) -> int:
    started = time.perf_counter()
    manifests = manifest.load([path])
    which = wiring.Which(arm_endpoint=url, authority=url, ca_bundle=ca)
    async with wiring.connect(which) as connection:
        wish = pipeline.Wish(checks=preflight.Options(ignore_limits=True))
        cloud, clock = connection.cloud, connection.clock
        prepared = await pipeline.prepare(manifests, cloud, wish, clock, ignore)
        good = not prepared.plan.steps
        if job == "apply":
            prepared.require_sound()
            applied = await pipeline.carry_out(
                prepared, cloud, clock, ignore, apply.Settings(), outputs.Context()
            )
            good = applied.exit_code == 0
            for problem in applied.problems[:3]:
                print(problem.what, problem.details, file=sys.stderr)
    print(json.dumps({"seconds": time.perf_counter() - started}))
    return 0 if good else 1


if __name__ == "__main__":
    os.environ.setdefault("AZURE_TENANT_ID", "aaaaaaaa-0000-4000-8000-000000000001")
    os.environ.setdefault("AZURE_CLIENT_ID", "bbbbbbbb-0000-4000-8000-000000000001")
    os.environ.setdefault("AZURE_CLIENT_SECRET", "emulator-only-secret")
    with seldom_collected():
        code = asyncio.run(main(*sys.argv[1:]))
    sys.exit(code)
