"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click
from click.core import ParameterSource

from provisioner.cli.session import Session
from provisioner.cli.types import LIMIT
from provisioner.manifest.selector import Selector

F = TypeVar("F", bound=Callable[..., object])


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> object:
    """Store an option in the session, where the error path finds it too."""
    session = ctx.find_object(Session)
    if session is not None and param.name is not None and value is not None:
        setattr(session, param.name, value)
        if ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
            session.typed.add(param.name)
    return value


def session_of(ctx: click.Context) -> Session:
    """What the common options say. Raises UsageError when they name two Azures.

    What was typed wins over the environment, whose variables may be another day's.
    """
    session = ctx.ensure_object(Session)
    elsewhere = session.typed & {"arm_endpoint", "authority"}
    if session.emulator and elsewhere:
        if "emulator" in session.typed:
            option = f"--{min(elsewhere).replace('_', '-')}"
            raise click.UsageError(
                f"--emulator and {option} name two different Azures; give one of them.", ctx
            )
        session.emulator = False
    return session


def _stack(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def wrap(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return wrap


def _kept(*names: str, help: str, **settings: object) -> Callable[[F], F]:
    return click.option(
        *names,
        help=help,
        expose_value=False,
        is_eager=True,
        callback=_remember,
        **settings,  # type: ignore[arg-type]
    )


def screen_options(function: F) -> F:
    """--log-format, --no-color, -v."""
    wrap: Callable[[F], F] = _stack(
        _kept(
            "--log-format",
            type=click.Choice(["text", "json"]),
            envvar="PROVISION_LOG_FORMAT",
            help="Progress and problems on stderr as text or as JSON lines.",
        ),
        _kept("--no-color", is_flag=True, default=None, help="No colour, even on a terminal."),
        _kept("-v", "--verbose", count=True, help="Say more; twice shows each request."),
    )
    return wrap(function)


def azure_options(function: F) -> F:
    """--emulator, --arm-endpoint, --authority, --ca-bundle."""
    wrap: Callable[[F], F] = _stack(
        _kept(
            "--emulator",
            is_flag=True,
            default=None,
            envvar="PROVISION_EMULATOR",
            help="Use the local Azure of this folder; it is started when it does not run.",
        ),
        _kept(
            "--arm-endpoint",
            metavar="URL",
            envvar="PROVISION_ARM_ENDPOINT",
            help="Another Azure Resource Manager than the public cloud's.",
        ),
        _kept(
            "--authority",
            metavar="URL",
            envvar="PROVISION_AUTHORITY",
            help="The Entra authority that belongs to it.",
        ),
        _kept(
            "--ca-bundle",
            metavar="FILE",
            envvar="PROVISION_CA_BUNDLE",
            type=click.Path(exists=True, dir_okay=False),
            help="Certificate authorities to trust, PEM.",
        ),
    )
    return wrap(function)


def manifest_options(function: F) -> F:
    """-f and -l; the command gets `filenames` and `labels` (a Selector)."""
    return _manifest_options(function, required=True)


def optional_manifest_options(function: F) -> F:
    """The same where something else can take the place of -f."""
    return _manifest_options(function, required=False)


def _manifest_options(function: F, *, required: bool) -> F:
    wrap: Callable[[F], F] = _stack(
        click.option(
            "-f",
            "--filename",
            "filenames",
            multiple=True,
            required=required,
            metavar="PATH",
            help="A manifest, a folder of manifests, or - for stdin. Repeatable.",
        ),
        click.option(
            "-l",
            "--selector",
            "labels",
            multiple=True,
            metavar="LABELS",
            callback=_labels,
            help="Only deployments whose labels fit: key=value, key!=value, key in (a,b), key, "
            "!key; commas and repeating mean and.",
        ),
    )
    return wrap(function)


def _labels(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> Selector:
    try:
        return Selector.of(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def format_option(*formats: str) -> Callable[[F], F]:
    """-o; the first format is the default. The command gets `output_format`."""
    return click.option(
        "-o",
        "--output",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="How the result is printed on stdout.",
    )


stack_option = click.option(
    "--stack",
    default="default",
    show_default=True,
    envvar="PROVISION_STACK",
    metavar="NAME",
    help="Whose resources these are; two stacks never touch each other's.",
)
timeout_option = click.option(
    "--timeout", type=LIMIT, metavar="SPAN", help="Limit of a step, such as 90s or 1h."
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
