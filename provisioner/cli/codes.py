"""Codes of the problems that arise at the command line itself."""

from __future__ import annotations

from typing import Final

from provisioner.errors import Who, define

USAGE: Final = define(
    "cli.usage",
    "wrong usage",
    "The command line names an option, argument or command that does not exist or does not fit.",
    Who.OPERATOR,
)
NOT_CONFIRMED: Final = define(
    "cli.not-confirmed",
    "nobody confirmed",
    "The command changes Azure and wants a yes. Without a terminal it does not wait for an "
    "answer: it wants --yes.",
    Who.OPERATOR,
)
DECLINED: Final = define(
    "cli.declined",
    "declined",
    'The question was not answered with "yes". Nothing was changed.',
    Who.OPERATOR,
)
INTERRUPTED: Final = define(
    "cli.interrupted",
    "interrupted",
    "The run was stopped by Ctrl-C or a termination signal. Whatever had been started goes on in "
    "Azure; the same command picks it up again.",
    Who.OPERATOR,
)
SYSTEM: Final = define(
    "cli.system",
    "the operating system refused",
    "A file or another resource of this machine could not be used.",
    Who.OPERATOR,
)
FILE_EXISTS: Final = define(
    "cli.file-exists",
    "the file exists",
    "The command would overwrite a file that it did not write.",
    Who.OPERATOR,
)
UNKNOWN_NAME: Final = define(
    "cli.unknown-name",
    "no such deployment",
    "No ModelDeployment of the given manifests has that name.",
    Who.OPERATOR,
)
NOT_DEPLOYED: Final = define(
    "cli.not-deployed",
    "not deployed",
    "The deployment is in the manifests, but its endpoint does not exist in Azure.",
    Who.OPERATOR,
)
NO_EMULATOR: Final = define(
    "cli.no-emulator",
    "no emulator runs",
    "The command wants to talk about the emulator of this folder, and there is none.",
    Who.OPERATOR,
)
EMULATOR_RUNS: Final = define(
    "cli.emulator-runs",
    "the emulator runs already",
    "Port, state and scenario are chosen when the emulator starts; the one that runs keeps "
    "its own.",
    Who.OPERATOR,
)
STDIN_NOT_SAVED: Final = define(
    "cli.stdin-not-saved",
    "a plan of stdin is not saved",
    "A saved plan reads its manifests again when it is applied; what came from stdin is gone then.",
    Who.OPERATOR,
)
BUG: Final = define(
    "cli.bug",
    "a defect of provision",
    "Something happened that provision does not understand. A masked report was written for its "
    "maintainers.",
    Who.MAINTAINER,
)
