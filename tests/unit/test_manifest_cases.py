"""Bad manifests and the exact text that a person gets: tests/cases/manifest/NAME.yaml → NAME.txt.

A folder is one case of several files. `PROVISIONER_UPDATE_CASES=1 pytest` rewrites the texts;
read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provisioner.errors import Code, InvalidManifest, Problem
from provisioner.manifest import codes, load

CASES = Path(__file__).resolve().parent.parent / "cases" / "manifest"
NAMES = sorted(
    path.stem if path.is_file() else path.name
    for path in CASES.iterdir()
    if path.is_dir() or path.suffix == ".yaml"
)


def shown(problem: Problem) -> str:
    """What a terminal would show, near enough."""
    where = f"{problem.position}: " if problem.position else ""
    lines = [f"{problem.severity}[{problem.code.id}]: {where}{problem.what}"]
    if problem.position and problem.position.snippet:
        lines += [f"  | {problem.position.snippet}", f"  | {' ' * (problem.position.column - 1)}^"]
    lines += [f"  = {detail}" for detail in problem.details]
    lines.append(f"  hint: {problem.hint}")
    return "\n".join(lines)


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_manifest_says_what_where_and_how(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)
    source = name if Path(name).is_dir() else f"{name}.yaml"
    with pytest.raises(InvalidManifest) as caught:
        load([source])
    text = "\n\n".join(shown(problem) for problem in caught.value.problems) + "\n"
    expected = CASES / f"{name}.txt"
    if os.environ.get("PROVISIONER_UPDATE_CASES"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def test_every_error_code_of_manifests_has_a_case() -> None:
    """Codes that need files, an option, or many errors are tested by themselves."""
    elsewhere = {
        "manifest.not-found",
        "manifest.unreadable",
        "manifest.too-large",
        "manifest.more",
        "manifest.link",
        "manifest.no-match",
    }
    texts = "\n".join(path.read_text(encoding="utf-8") for path in CASES.glob("*.txt"))
    known = {code.id for code in vars(codes).values() if isinstance(code, Code)} - elsewhere
    assert len(known) > 20
    assert known == {code for code in known if f"[{code}]" in texts}
