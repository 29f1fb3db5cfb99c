"""docs/errors.md, made from the codes themselves so that it cannot drift.

`python -m provisioner.cli.errors_page` prints it; `make docs` writes it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Final

import click

import provisioner
from provisioner.errors import Code, ExitCode, codes
from provisioner.errors.causes import CAUSES

_HEAD: Final = """\
# Errors

<!-- Made by provisioner.cli.errors_page; `make docs` writes it, a test keeps it current. -->

Everything that `provision` complains about has a stable code. A problem says what happened, where,
who can mend it and how:

```
error[manifest.unknown-key]: manifests/llama.yaml:12:7
  unknown key "instanceTyp" in spec.target.managedCompute
  12 |       instanceTyp: Standard_NC24ads_A100_v4
     |       ^
  who: the author of the manifest
  fix: did you mean "instanceType"?
```

With `--log-format json` each is a JSON line on stderr; `validate`, `plan` and `apply` put them
into their documents with `-o json`.

## Exit codes

| code | meaning |
|---|---|
"""
_EXITS: Final = {
    ExitCode.DONE: "done, or nothing to do",
    ExitCode.FAILED: "failed",
    ExitCode.CHANGES: "changes are pending (`plan --detailed-exitcode` only)",
    ExitCode.REFUSED: "refused before any write: a check, a guard, missing consent, a stale plan",
    ExitCode.PARTIAL: "some steps failed, the rest is applied",
    ExitCode.USAGE: "wrong usage",
    ExitCode.INVALID_MANIFEST: "invalid manifest",
    ExitCode.INTERRUPTED: "interrupted",
}
_AREAS: Final = {
    "cli": "The command line",
    "manifest": "Manifests",
    "desired": "Manifests that contradict each other",
    "preflight": "Checks before the first write",
    "plan": "Plans",
    "apply": "Applying",
    "verify": "Applying with --verify",
    "inference": "Calling a deployed model",
    "keys": "Keys",
    "output": "Outputs",
    "outputs": "Outputs: what Azure did not give",
    "emulator": "The emulator",
    "azure": "Answers of Azure",
    "service": "Answers of Azure",
}


def markdown() -> str:
    """The whole page."""
    _import_everything()
    exits = "".join(f"| {int(code)} | {meaning} |\n" for code, meaning in _EXITS.items())
    return _HEAD + exits + "".join(_sections(codes()))


def _import_everything() -> None:
    """Codes are defined where they are used: all modules but the emulator's are loaded."""
    for module in pkgutil.walk_packages(provisioner.__path__, "provisioner."):
        skipped = module.name.startswith("provisioner.emulator") or "__main__" in module.name
        if not skipped:
            importlib.import_module(module.name)


def _sections(all_codes: tuple[Code, ...]) -> Iterator[str]:
    areas: dict[str, list[Code]] = {}
    for code in all_codes:
        areas.setdefault(code.id.split(".", 1)[0], []).append(code)
    order = [*_AREAS, *sorted(areas.keys() - _AREAS.keys())]
    for area in order:
        if area in areas:
            yield f"\n## {_AREAS.get(area, area.capitalize())}\n"
            for code in areas[area]:
                yield _entry(code)


def _entry(code: Code) -> str:
    text = f"\n### `{code.id}`\n\n**{code.title[0].upper()}{code.title[1:]}.** {code.meaning}\n"
    text += f"\nWho can mend it: {code.who}.\n"
    causes = [cause for cause in CAUSES if cause.code is code]
    if causes:
        text += "\n| Azure says | it means | way out |\n|---|---|---|\n"
        for cause in causes:
            said = ", ".join(sorted(cause.codes)) or "(by the message)"
            text += f"| {said} | {_cell(cause.what)} | {_cell(cause.hint)} |\n"
    return text


def _cell(text: str) -> str:
    """Text for a table: template fields and markup as they are to be read."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("{", "‹").replace("}", "›")


if __name__ == "__main__":
    click.echo(markdown(), nl=False)
