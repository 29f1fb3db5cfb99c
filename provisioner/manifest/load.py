"""Sources in, checked manifests out: the stages of reading, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from pydantic import ValidationError

from provisioner.errors import Code, InvalidManifest, Problem, Severity
from provisioner.manifest import codes
from provisioner.manifest.check import check
from provisioner.manifest.explain import explain, quoted, unknown_kind
from provisioner.manifest.loaded import Loaded, Manifests, Source
from provisioner.manifest.near import near
from provisioner.manifest.parse import MAX_PROBLEMS, Raw, parse
from provisioner.manifest.read import read
from provisioner.manifest.schema import API_VERSION, KINDS, ModelDeployment, Workspace


def load(sources: Sequence[str], *, stdin: TextIO | None = None) -> Manifests:
    """Read files, folders (recursively) and `-`, and check all that they say.

    Raises InvalidManifest with every problem of every file. Asks nobody but the file system.
    """
    problems: list[Problem] = []
    texts = read(sources, stdin, problems)
    return _finish(texts, problems)


def load_text(text: str, file: str = "<text>") -> Manifests:
    """Manifests from text that is in memory; otherwise like `load`."""
    return _finish((Source(file, text),), [])


def _finish(texts: Sequence[Source], problems: list[Problem]) -> Manifests:
    workspaces: list[Loaded[Workspace]] = []
    deployments: list[Loaded[ModelDeployment]] = []
    incomplete = unsure = bool(problems)
    for source in texts:
        found: list[Problem] = []
        of_deployments = 0
        for raw in parse(source, found):
            if len(found) > MAX_PROBLEMS:
                break
            before = len(found)
            if _document(raw, workspaces, deployments, found) is ModelDeployment:
                of_deployments += len(found) - before
        incomplete = incomplete or bool(found)
        unsure = unsure or len(found) > of_deployments
        problems.extend(_capped(found, source))
    if not (workspaces or deployments or problems):
        problems.append(_nothing(texts))
    problems.extend(check(workspaces, deployments, incomplete=incomplete, unsure=unsure))
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise InvalidManifest.of(_sorted(problems))
    return Manifests(
        tuple(workspaces),
        tuple(deployments),
        tuple(source.file for source in texts),
        tuple(_sorted(problems)),
    )


def _document(
    raw: Raw,
    workspaces: list[Loaded[Workspace]],
    deployments: list[Loaded[ModelDeployment]],
    problems: list[Problem],
) -> type[Workspace] | type[ModelDeployment] | None:
    """Validate one document and put it where it belongs; empty ones are passed over.

    Returns its kind, as far as that is certain.
    """
    value: Any = raw.value
    if value is None:
        return None
    kind = _kind(raw, problems)
    if kind is None:
        return None
    try:
        document = kind.model_validate(value)
    except ValidationError as error:
        problems.extend(explain(raw, error, kind))
        return kind
    if isinstance(document, Workspace):
        workspaces.append(Loaded(document, raw.place))
    else:
        deployments.append(Loaded(document, raw.place))
    return kind


def _kind(raw: Raw, problems: list[Problem]) -> type[Workspace] | type[ModelDeployment] | None:
    """The schema of a document, by apiVersion and kind."""
    value, place = raw.value, raw.place

    def refuse(code: Code, what: str, hint: str, *path: str) -> None:
        problems.append(Problem(code, what, hint, position=place.value(*path)))

    if not isinstance(value, dict):
        refuse(
            codes.TYPE,
            "a document is a mapping that begins with apiVersion and kind",
            "write a starter manifest with: provision init",
        )
        return None
    version, kind = value.get("apiVersion"), value.get("kind")
    if version != API_VERSION:
        if version is None:
            wrong = near("apiVersion", [key for key in value if key != "kind"])
            what = "the document has no apiVersion"
            hint = (
                f'rename "{wrong}" to "apiVersion"' if wrong else f"add apiVersion: {API_VERSION}"
            )
            refuse(codes.API_VERSION, what, hint)
        else:
            what = f"unknown apiVersion {quoted(version)}"
            refuse(codes.API_VERSION, what, f"write {API_VERSION}", "apiVersion")
    known = KINDS.get(kind) if isinstance(kind, str) else None
    if known is None and kind is None:
        refuse(codes.KIND, "the document has no kind", f"add kind: {' or '.join(KINDS)}")
    elif known is None:
        refuse(codes.KIND, *unknown_kind(kind), "kind")
    return known if version == API_VERSION else None


def _capped(found: list[Problem], source: Source) -> list[Problem]:
    if len(found) <= MAX_PROBLEMS:
        return found
    more = Problem(
        codes.MORE,
        f"{source.file} has more errors than the {MAX_PROBLEMS} shown",
        "mend these first",
        position=source.position(1, 1),
    )
    return [*found[:MAX_PROBLEMS], more]


def _nothing(texts: Sequence[Source]) -> Problem:
    if texts:
        names = ", ".join(source.file for source in texts[:3])
        what = f"{names}{' …' if len(texts) > 3 else ''} holds no document"
    else:
        what = "no manifests were given"
    return Problem(codes.EMPTY, what, "write a starter manifest with: provision init")


def _sorted(problems: list[Problem]) -> list[Problem]:
    """In the order of files as first met, then by line; what has no place comes first."""
    order: dict[str, int] = {}
    for problem in problems:
        if problem.position:
            order.setdefault(problem.position.file, len(order))

    def key(problem: Problem) -> tuple[int, int, int]:
        if problem.position is None:
            return (-1, 0, 0)
        at = problem.position
        return (order[at.file], at.line, at.column)

    return sorted(problems, key=key)
