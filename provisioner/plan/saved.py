"""Saved plans: what `plan --out` writes and `apply PLANFILE` carries out, or refuses. Pure.

A saved plan is a promise, not a program. It names the manifests by their digests, the Azure, the
stack and the options; applying it plans anew from all of that and goes ahead only when the new
plan does exactly what the saved one said. So nothing in the file is ever executed, and a stale one
can do no harm. The seal finds slips and edits by hand; it is no signature. Whoever can make a plan
file chooses its manifests, stack and options, as whoever types a command does.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from provisioner import __version__
from provisioner.errors import Problem, Refused, UsageError, Who, define
from provisioner.plan.json import Json, digest, document
from provisioner.plan.steps import Plan

FORMAT: Final = 1
_KIND: Final = "provisioner.azureml/SavedPlan"

NOT_A_PLAN = define(
    "plan.not-a-plan-file",
    "the file is not a saved plan",
    "apply takes a file that plan --out wrote.",
    Who.OPERATOR,
)
EDITED = define(
    "plan.edited",
    "the saved plan was changed after it was written",
    "Its seal does not match its content, so what was reviewed is not what it says now.",
    Who.OPERATOR,
)
OTHER_VERSION = define(
    "plan.other-version",
    "the saved plan is of another version of provisioner",
    "Versions may plan differently, so a plan is applied by the version that made it.",
    Who.OPERATOR,
)
OTHER_AZURE = define(
    "plan.other-azure",
    "the saved plan is for another Azure",
    "It was made against another Azure Resource Manager than the one that this command reaches.",
    Who.OPERATOR,
)
MANIFEST_CHANGED = define(
    "plan.manifest-changed",
    "a manifest changed after the plan was saved",
    "A saved plan applies exactly the manifests that were planned.",
    Who.AUTHOR,
)
STALE = define(
    "plan.stale",
    "Azure has moved since the plan was made",
    "Planning again gives other steps than those that were saved, or shown and thought over for "
    "more than a minute.",
    Who.OPERATOR,
)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan was made from, as far as it can be said again later.

    `files` maps each manifest's path to the SHA-256 (hex) of its bytes; `options` are plain values.
    """

    cloud: str
    stack: str
    sources: tuple[str, ...]
    files: Mapping[str, str]
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A saved plan whose seal holds."""

    basis: Basis
    digest: str
    steps: Mapping[str, str]
    """Titles by step id."""


def save(plan: Plan, basis: Basis) -> str:
    """The text of the plan file. It holds no secret: values of variables are not in a plan."""
    body: Json = {
        "kind": _KIND,
        "format": FORMAT,
        "version": __version__,
        "cloud": basis.cloud,
        "stack": basis.stack,
        "sources": list(basis.sources),
        "files": dict(basis.files),
        "options": dict(basis.options),
        "digest": digest(plan),
        "plan": document(plan),
    }
    return json.dumps({**body, "seal": _seal(body)}, indent=2) + "\n"


def not_a_plan(name: str, what: str) -> Problem:
    """Most often a manifest without its -f; the hint must not have it overwritten."""
    hint = f"for manifests: provision apply -f {shlex.quote(name)}"
    return Problem(NOT_A_PLAN, what, f"{hint}; a plan is saved with: provision plan --out FILE")


def is_plan(text: str) -> bool:
    """Whether `text` was written by `save`, by whatever version, whole or edited."""
    return _body(text) is not None


def _body(text: str) -> Json | None:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) and body.get("kind") == _KIND else None


def load(text: str, name: str) -> SavedPlan:
    """Read a plan file; `name` is for messages.

    Raises UsageError when it is none, Refused when it was edited or made by another version.
    """
    body = _body(text)
    if body is None:
        raise UsageError(not_a_plan(name, f"{name} is not a saved plan"))
    seal = body.pop("seal", None)
    if body.get("version") != __version__ or body.get("format") != FORMAT:
        raise Refused(
            Problem(
                OTHER_VERSION,
                f"{name} was made by provisioner {body.get('version')}, this is {__version__}",
                "plan again with this version",
            )
        )
    found = _saved(body) if seal == _seal(body) else None
    if found is None:  # a seal is no signature: one that fits may have been made by hand
        raise Refused(
            Problem(EDITED, f"{name} was changed after it was written", "plan and review again")
        )
    return found


def require_same(saved: SavedPlan, now: Basis) -> None:
    """Refuse what would apply the plan to something else than what it was made for."""
    if saved.basis.cloud != now.cloud:
        raise Refused(
            Problem(
                OTHER_AZURE,
                f"the plan was made for {saved.basis.cloud}, this command reaches {now.cloud}",
                "pass the same --emulator, --arm-endpoint and --authority as when planning",
            )
        )
    require_unchanged(saved, now.files)


def require_unchanged(saved: SavedPlan, files: Mapping[str, str]) -> None:
    """Refuse unless `files` (path → SHA-256) are what the plan was made from, no more and no less.

    Asked before a file is read as a manifest, whose lines would be shown where it is none.
    """
    names = sorted({*saved.basis.files, *files})
    changed = [name for name in names if saved.basis.files.get(name) != files.get(name)]
    if changed:
        raise Refused(
            Problem(
                MANIFEST_CHANGED,
                f"{', '.join(changed)} changed after the plan was saved",
                "plan and review again",
            )
        )


def require_fresh(saved: SavedPlan, plan: Plan) -> None:
    """Refuse when planning now gives anything else than what was saved."""
    if digest(plan) != saved.digest:
        what = "Azure is not as it was when the plan was saved"
        raise Refused(_stale(what, saved.steps, plan))


def require_unmoved(shown: Plan, plan: Plan) -> None:
    """Refuse when planning again, after a long time for thought, gives anything else than what was
    shown. Raises Refused."""
    if digest(shown) != digest(plan):
        titles = {step.id: step.title for step in shown.steps}
        what = "Azure is not as it was when the plan was shown"
        raise Refused(_stale(what, titles, plan))


def _stale(what: str, before: Mapping[str, str], plan: Plan) -> Problem:
    now = {step.id: step.title for step in plan.steps}
    details = [f"no longer planned: {title}" for id, title in before.items() if id not in now]
    details += [f"newly planned: {title}" for id, title in now.items() if id not in before]
    return Problem(
        STALE,
        what,
        "plan and review again",
        details=tuple(details or ["the same steps, with other values or in another order"]),
    )


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _seal(body: Mapping[str, object]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _saved(body: Mapping[str, Any]) -> SavedPlan | None:
    """The parts of a plan file; None unless each has the shape that `save` gives it."""
    try:
        return SavedPlan(
            basis=Basis(
                cloud=_text(body["cloud"]),
                stack=_text(body["stack"]),
                sources=tuple(map(_text, body["sources"])),
                files={name: _text(value) for name, value in body["files"].items()},
                options=dict(body["options"].items()),
            ),
            digest=_text(body["digest"]),
            steps={_text(step["id"]): _text(step["title"]) for step in body["plan"]["steps"]},
        )
    except (LookupError, TypeError, AttributeError):
        return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value
