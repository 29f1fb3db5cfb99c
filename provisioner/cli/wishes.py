"""The options that decide what a plan is, shared by plan, apply and doctor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from provisioner import plan as planning
from provisioner import preflight
from provisioner.pipeline import Wish

F = TypeVar("F", bound=Callable[..., object])

_FLAGS: Final[tuple[tuple[str, str], ...]] = (
    ("accept_terms", "Accept the Marketplace terms that it needs."),
    ("adopt", "Take over what exists under the manifests' names."),
    ("prune", "Delete what the stack has and no manifest names."),
    ("prune_subscriptions", "Also delete Marketplace subscriptions that lose their last endpoint."),
    ("ignore_lifecycle", "Deploy deprecated models all the same, with a warning."),
    ("ignore_regions", "Deploy where the catalogue lists no region, with a warning."),
    ("ignore_limits", "Go beyond documented limits all the same, with a warning."),
)


def wish_options(function: F) -> F:
    """--accept-terms, --adopt, --prune, --prune-subscriptions, --ignore-…."""
    for name, help in reversed(_FLAGS):
        option = click.option(f"--{name.replace('_', '-')}", name, is_flag=True, help=help)
        function = option(function)
    return function


def wish_values(options: Mapping[str, Any]) -> dict[str, object]:
    """The given options in the form that a saved plan keeps."""
    return {name: bool(options[name]) for name, _ in _FLAGS}


def wish_of(stack: str, values: Mapping[str, object]) -> Wish:
    """The wish behind such values; a value that is missing is off."""
    given = {name: bool(values.get(name)) for name, _ in _FLAGS}
    return Wish(
        stack=stack,
        accept_terms=given["accept_terms"],
        planning=planning.Options(
            adopt=given["adopt"],
            prune=given["prune"],
            prune_subscriptions=given["prune_subscriptions"],
        ),
        checks=preflight.Options(
            ignore_lifecycle=given["ignore_lifecycle"],
            ignore_regions=given["ignore_regions"],
            ignore_limits=given["ignore_limits"],
        ),
    )
