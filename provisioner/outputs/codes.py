"""Codes of the problems of sinks."""

from __future__ import annotations

from typing import Final

from provisioner.errors import Who, define

UNWRITABLE: Final = define(
    "output.unwritable",
    "output cannot be written",
    "The file or its folder cannot be written: permissions, a full or read-only disk, or "
    "something else is in the way.",
    Who.OPERATOR,
)
SYMLINK: Final = define(
    "output.symlink",
    "output leads through a link",
    "A key is never written through a symbolic link, nor to a folder that a link moves out of the "
    "current directory: whoever made the link would decide where the key goes.",
    Who.OPERATOR,
)
OUTSIDE: Final = define(
    "output.outside",
    "output lies outside the current directory",
    "A manifest may only write below the directory in which the command runs.",
    Who.AUTHOR,
)
TRACKED: Final = define(
    "output.tracked",
    "output is tracked by git",
    "A key in a file that git tracks would be committed with the next commit.",
    Who.AUTHOR,
)
FOREIGN: Final = define(
    "output.foreign",
    "output is not a file of this kind",
    "What is there already is no text file that provision could have written or merged into.",
    Who.OPERATOR,
)
CLASH: Final = define(
    "output.clash",
    "outputs overwrite each other",
    "Two deployments write the same file, or the same names in one dotenv file.",
    Who.AUTHOR,
)
NO_KEY: Final = define(
    "output.no-key",
    "no key to write",
    "Azure answered without a key for this endpoint.",
    Who.AZURE,
)
NOT_IN_PIPELINE: Final = define(
    "output.not-in-pipeline",
    "not in that pipeline",
    "The sink talks to a pipeline's runner, and this process does not run under one.",
    Who.OPERATOR,
)
STORE: Final = define(
    "output.store",
    "secret store refused",
    "A secret store (Key Vault, Kubernetes) could not be read or written.",
    Who.OPERATOR,
)
MISSING_PACKAGE: Final = define(
    "output.missing-package",
    "package for the sink is missing",
    "The sink needs a Python package that is not installed.",
    Who.OPERATOR,
)
