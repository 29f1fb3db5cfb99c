"""What all parts of the manifest's schema have in common."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


class Choice(NamedTuple):
    """Keys of which only one may be given; `required`: and one must be."""

    keys: tuple[str, ...]
    required: bool


class Document(BaseModel):
    """Base of all parts: frozen, strict, camelCase, and exact about its keys."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )
    choices: ClassVar[tuple[Choice, ...]] = ()


class Choosing(Document):
    """A part with `choices`; a class of its own, since a validator in Python costs every part."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        fields = type(self).model_fields
        for choice in self.choices:
            given = [name for name in self.model_fields_set if fields[name].alias in choice.keys]
            if len(given) > 1 or (choice.required and not given):
                raise PydanticCustomError("choice", "exactly one")
        return self


def _empty(value: object) -> object:
    """`serverless:` with nothing after it means `serverless: {}`."""
    return {} if value is None else value


def _sequence(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


EMPTY: Final = BeforeValidator(_empty)
TUPLE: Final = BeforeValidator(_sequence)
Text = Annotated[str, Field(min_length=1, max_length=2048)]
Percent = Annotated[int, Field(ge=0, le=100)]
