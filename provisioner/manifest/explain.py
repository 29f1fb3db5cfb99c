"""Schema violations → problems: what is wrong, where, and what was probably meant."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeAlias, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from provisioner.errors import Code, Problem
from provisioner.manifest import codes
from provisioner.manifest.loaded import Place
from provisioner.manifest.near import near
from provisioner.manifest.parse import Raw, Value
from provisioner.manifest.schema import KINDS, Document

Path: TypeAlias = tuple[str | int, ...]
_CUSTOM: Final[Mapping[str, Code]] = {
    "value": codes.VALUE,
    "name": codes.NAME,
    "path": codes.PATH,
}
_ABSENT: Final = object()


def shown(path: Path) -> str:
    """`spec.outputs[0].dotenv`; "the document" for the whole of it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part[:80]}"
    return text.removeprefix(".") or "the document"


def quoted(value: object) -> str:
    """A value as it would be written, cut to a readable length."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def kind_of(value: object) -> str:
    """What a value is, in words."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"the boolean {quoted(value)}"
    if isinstance(value, int | float):
        return f"the number {quoted(value)}"
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    return "a list" if isinstance(value, list) else "a mapping"


@cache
def children(cls: type[Document]) -> Mapping[str, type[Document] | None]:
    """The keys of a part and, of each, the part that it holds (in a list, or not) if any."""
    return {
        field.alias or name: _part(field.annotation) for name, field in cls.model_fields.items()
    }


def _part(annotation: Any) -> type[Document] | None:
    return next(_parts(annotation), None)


def _parts(annotation: Any) -> Iterator[type[Document]]:
    if isinstance(annotation, type) and issubclass(annotation, Document):
        yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)


def parts(*roots: type[Document]) -> tuple[type[Document], ...]:
    """The parts of the schema, each once, in the order in which a reader meets them."""
    found: dict[type[Document], None] = {}

    def visit(cls: type[Document]) -> None:
        if cls not in found:
            found[cls] = None
            for field in cls.model_fields.values():
                for part in _parts(field.annotation):
                    visit(part)

    for root in roots:
        visit(root)
    return tuple(found)


class _Explainer:
    """Explains the violations of one document."""

    def __init__(self, raw: Raw, cls: type[Document]) -> None:
        self.value = raw.value
        self.place: Place = raw.place
        self.cls = cls
        self.problems: list[Problem] = []
        self.guessed: set[Path] = set()  # keys that an unknown key was probably meant to be
        self.unknown: set[Path] = set()  # mappings that have an unknown key

    def real(self, loc: tuple[str | int, ...]) -> Path:
        """The path in the document; pydantic's also holds tags of unions."""
        path: list[str | int] = []
        value: Any = self.value
        for index, part in enumerate(loc):
            inner = _step(value, part)
            tag = part in _TAGS and index > 0 and loc[index - 1] == "workspace"
            if tag or (part == "[key]" and inner is _ABSENT):
                continue
            path.append(part)
            value = inner
        return tuple(path)

    def owner(self, path: Path) -> type[Document] | None:
        """The part of the schema that the mapping at `path` is."""
        cls: type[Document] | None = self.cls
        for part in path:
            if isinstance(part, int):
                continue
            cls = children(cls).get(part) if cls is not None else None
        return cls

    def at(self, path: Path) -> Any:
        value: Any = self.value
        for part in path:
            value = _step(value, part)
        return value

    def add(self, code: Code, path: Path, what: str, hint: str, *, key: bool = False) -> None:
        position = self.place.key(*path) if key else self.place.value(*path)
        self.problems.append(Problem(code, what, hint, position=position))

    def unknown_key(self, path: Path) -> None:
        key, parent = str(path[-1]), path[:-1]
        cls = self.owner(parent)
        known = children(cls) if cls else {}
        meant = near(key, known)
        where = f"in {shown(parent)}" if parent else "at the top of the document"
        if meant is not None:
            hint = f'did you mean "{meant}"?'
            self.guessed.add((*parent, meant))
        else:
            hint = _elsewhere(key, self.cls) or f"known here: {', '.join(known)}"
        self.unknown.add(parent)
        self.add(codes.UNKNOWN_KEY, path, f'unknown key "{key[:80]}" {where}', hint, key=True)

    def choices(self, cls: type[Document], value: Value, path: Path) -> None:
        """Exactly-one rules, judged even where something else is wrong as well."""
        if isinstance(value, list):
            for index, item in enumerate(value):
                self.choices(cls, item, (*path, index))
        if not isinstance(value, dict):
            return
        for choice in cls.choices:
            given = [key for key in choice.keys if key in value]
            options = " or ".join(choice.keys) if len(choice.keys) < 3 else ", ".join(choice.keys)
            if len(given) > 1:
                what = f"{shown(path)} has {' and '.join(given)}; only one of them can be"
                self.add(codes.CHOICE, (*path, given[1]), what, "remove one", key=True)
            elif choice.required and not given and path not in self.unknown:
                what = f"{shown(path)} needs exactly one of: {options}"
                hint = (
                    f"add {options}"
                    if len(choice.keys) < 3
                    else f'add one, such as "{choice.keys[0]}"'
                )
                self.add(codes.CHOICE, path, what, hint, key=True)
        for key, part in children(cls).items():
            if part is not None and key in value:
                self.choices(part, value[key], (*path, key))

    def explain(self, errors: list[ErrorDetails]) -> list[Problem]:
        located = [(self.real(error["loc"]), error) for error in errors]
        for path, error in located:
            if error["type"] == "extra_forbidden":
                self.unknown_key(path)
        for path, error in located:
            if error["type"] not in ("extra_forbidden", "choice"):
                self.one(path, error)
        self.choices(self.cls, self.value, ())
        return self.problems

    def one(self, path: Path, error: ErrorDetails) -> None:
        kind, context = error["type"], error.get("ctx", {})
        if kind == "missing":
            if path not in self.guessed:
                key, parent = path[-1], path[:-1]
                where = shown(parent) if parent else "the document"
                example = _example(self.owner(parent), str(key))
                self.add(codes.MISSING_KEY, parent, f'{where} lacks "{key}"', example, key=True)
            return
        if kind in _CUSTOM:
            if str(context.get("key")) in _mapping(self.at(path)):
                path = (*path, context["key"])
            what = str(context.get("what", error["msg"]))
            if kind == "name" and path:
                self.add(
                    codes.NAME,
                    path,
                    f"{shown(path)}: {what}",
                    _name_hint(self.at(path), context["hint"]),
                )
                return
            self.add(_CUSTOM[kind], path, f"{shown(path)}: {what}", str(context.get("hint", "")))
            return
        explain = _EXPLAIN.get(kind)
        value = self.at(path)
        if explain is None:
            self.add(codes.VALUE, path, f"{shown(path)}: {error['msg']}", "change the value")
            return
        code, what, hint = explain(shown(path), value, context)
        self.add(code, path, what, hint)


_TAGS: Final = frozenset({"name", "inline"})


def _step(value: Any, part: str | int) -> Any:
    if isinstance(value, dict) and part in value:
        return value[str(part)]
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return _ABSENT


def _mapping(value: object) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}


def _elsewhere(key: str, root: type[Document]) -> str | None:
    """Where a key that is unknown here belongs."""
    todo: list[tuple[type[Document], str]] = [(root, "")]
    while todo:
        cls, path = todo.pop(0)
        for name, part in children(cls).items():
            if name.lower() == key.lower() and path:
                return f'"{name}" belongs in {path}'
            if part is not None:
                todo.append((part, f"{path}.{name}".removeprefix(".")))
    return None


def _example(cls: type[Document] | None, key: str) -> str:
    if cls is not None:
        for name, field in cls.model_fields.items():
            if (field.alias or name) == key and field.examples:
                return f"add it, such as {key}: {field.examples[0]}"
        part = children(cls).get(key)
        if part is not None and part.choices:
            return f'add "{key}:", and below it {" or ".join(part.choices[0].keys)}'
    return f'add "{key}:"'


def _name_hint(value: object, rule: object) -> str:
    hint = f"it takes {rule}"
    if isinstance(value, str):
        mended = "-".join("".join(c if c.isalnum() else " " for c in value.lower()).split())[:52]
        if mended.isascii() and mended and mended != value:
            hint += f'; for example "{mended.strip("-")}"'
    return hint


Explanation: TypeAlias = tuple[Code, str, str]
Context: TypeAlias = Mapping[str, Any]


def _wrong_type(takes: str, hint: str) -> Callable[[str, Any, Context], Explanation]:
    def explain(where: str, value: Any, context: Context) -> Explanation:
        advice = hint
        if value is None:
            advice = "give it a value, or remove the key"
        elif takes == "text" and isinstance(value, float):
            advice = "put it in quotes"  # its digits as written are lost: 1.10 reads as 1.1
        elif takes == "text" and not isinstance(value, dict | list):
            advice = f'quote it: "{quoted(value)}"'
        elif takes in ("an integer", "a number") and isinstance(value, str):
            plain = value.replace(",", "").replace("_", "").strip()
            if plain.lstrip("-").isdigit() and len(plain) < 10:
                advice = f"write {int(plain)}, without quotes"
        elif takes == "true or false" and isinstance(value, str):
            advice = "write true or false, without quotes; yes, no, on and off are text"
        return codes.TYPE, f"{where} takes {takes}, not {kind_of(value)}", advice

    return explain


def _literal(where: str, value: Any, context: Context) -> Explanation:
    expected = [
        part.strip("'") for part in str(context["expected"]).replace(" or ", ", ").split(", ")
    ]
    meant = near(str(value), expected, ratio=0.6)
    takes = " or ".join(f'"{word}"' for word in expected)
    if where.endswith("contentSafety") and value == "enabled":
        return (
            codes.VALUE,
            "contentSafety cannot be enabled on managed compute: ARM has no setting for it",
            "leave it out and filter in the calling application, or use the serverless target",
        )
    hint = f'did you mean "{meant}"?' if meant else f"write {takes}"
    return codes.VALUE, f"{where} takes {takes}, not {quoted(value)}", hint


def _bound(word: str, key: str) -> Callable[[str, Any, Context], Explanation]:
    def explain(where: str, value: Any, context: Context) -> Explanation:
        limit = context[key]
        limit = int(limit) if float(limit).is_integer() else limit
        return codes.VALUE, f"{where} is {quoted(value)}", f"it must be {word} {limit}"

    return explain


def _pattern(where: str, value: Any, context: Context) -> Explanation:
    hint = f"it must match {context['pattern']}"
    if where.endswith("vaultUrl"):
        hint = "write the vault's address, like https://kv-ml-prod.vault.azure.net"
    return codes.VALUE, f"{where} does not take {quoted(value)}", hint


def _length(word: str, key: str) -> Callable[[str, Any, Context], Explanation]:
    def explain(where: str, value: Any, context: Context) -> Explanation:
        unit = "characters" if isinstance(value, str) else "items"
        if value in ("", []):
            return codes.VALUE, f"{where} is empty", "give it a value, or remove the key"
        size = len(value) if isinstance(value, str | list) else "?"
        return codes.VALUE, f"{where} has {size} {unit}", f"{word} {context[key]} are allowed"

    return explain


_EXPLAIN: Final[Mapping[str, Callable[[str, Any, Context], Explanation]]] = {
    "string_type": _wrong_type("text", "write text"),
    "int_type": _wrong_type("an integer", "write a whole number"),
    "int_from_float": _wrong_type("an integer", "write a whole number"),
    "float_type": _wrong_type("a number", "write a number"),
    "bool_type": _wrong_type("true or false", "write true or false"),
    "dict_type": _wrong_type("a mapping", "write its keys indented below it"),
    "model_type": _wrong_type("a mapping", "write its keys indented below it"),
    "model_attributes_type": _wrong_type("a mapping", "write its keys indented below it"),
    "tuple_type": _wrong_type("a list", 'write its items below it, each after "- "'),
    "list_type": _wrong_type("a list", 'write its items below it, each after "- "'),
    "literal_error": _literal,
    "greater_than_equal": _bound("at least", "ge"),
    "less_than_equal": _bound("at most", "le"),
    "string_pattern_mismatch": _pattern,
    "string_too_long": _length("at most", "max_length"),
    "string_too_short": _length("at least", "min_length"),
    "too_long": _length("at most", "max_length"),
    "too_short": _length("at least", "min_length"),
}


def explain(raw: Raw, error: ValidationError, cls: type[Document]) -> list[Problem]:
    """The problems behind a failed validation of `raw` as `cls`."""
    details = error.errors(include_url=False, include_input=False)
    return _Explainer(raw, cls).explain(details)


def unknown_kind(kind: object) -> tuple[str, str]:
    """What to say about a kind that is none, and the hint."""
    meant = near(str(kind), KINDS, ratio=0.6)
    takes = " or ".join(KINDS)
    hint = f'did you mean "{meant}"?' if meant else f"write {takes}"
    return f"unknown kind {quoted(kind)}", hint
