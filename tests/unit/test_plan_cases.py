"""The planner, case by case: each file says what is wished for, what is live, and what follows."""

from __future__ import annotations

import os
from typing import Any

import pytest
import yaml

from provisioner.plan import guard
from provisioner.plan.text import text
from tests.plan_cases import Case, cases


class _Text(yaml.SafeDumper):
    """Writes text of several lines as a block."""


def _block(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Text.add_representer(str, _block)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.path.stem)
def test_case(case: Case) -> None:
    found = case.plan()
    told: dict[str, Any] = {
        "refused": sorted({problem.code.id for problem in found.refusals}),
        "noticed": sorted({problem.code.id for problem in found.notices}),
        "guarded": sorted({problem.code.id for problem in guard(found)}),
        "plan": text(found),
    }
    told = {key: value for key, value in told.items() if value}
    if os.environ.get("UPDATE_CASES"):
        kept = {key: case.content[key] for key in case.content if key in _GIVEN}
        case.path.write_text(
            yaml.dump({**kept, **told}, Dumper=_Text, sort_keys=False, allow_unicode=True)
        )
        return
    expected = {key: case.content[key] for key in case.content if key not in _GIVEN}
    assert told == expected, case.content["reason"]
    assert all(len(line) <= 80 or " " not in line.strip() for line in told["plan"].splitlines())


_GIVEN = ("reason", "does", "options", "manifests", "observed")


def test_every_case_gives_a_reason() -> None:
    found = cases()
    assert len(found) >= 30
    assert not [one.path for one in found if not one.content["reason"].endswith(".")]
