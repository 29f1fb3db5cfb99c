"""The error codes of manifests; docs/errors.md lists them."""

from __future__ import annotations

from typing import Final

from provisioner.errors import Code, Who, define


def _code(name: str, title: str, meaning: str, who: Who = Who.AUTHOR) -> Code:
    return define(f"manifest.{name}", title, meaning, who)


NOT_FOUND: Final = _code(
    "not-found",
    "manifest not found",
    "A file or folder given with -f does not exist.",
    Who.OPERATOR,
)
UNREADABLE: Final = _code(
    "unreadable",
    "manifest cannot be read",
    "The operating system refused to open or read a manifest.",
    Who.OPERATOR,
)
LINK: Final = _code(
    "link",
    "manifest is a link to elsewhere",
    "A symbolic link leads out of the current directory and the git checkout around it, or of the "
    "folder given with -f. Whoever made it would have lines of a file shown that is no manifest.",
    Who.AUTHOR,
)
EMPTY: Final = _code(
    "empty",
    "no manifests",
    "None of the files and folders given with -f holds a document.",
    Who.OPERATOR,
)
TOO_LARGE: Final = _code(
    "too-large",
    "manifest too large",
    "A manifest file may have 5 MiB; a larger one is refused before it is parsed.",
)
NOT_TEXT: Final = _code(
    "not-text",
    "manifest is not UTF-8 text",
    "Manifests are UTF-8 text without control characters.",
)
SYNTAX: Final = _code("syntax", "not valid YAML", "The text breaks the rules of YAML.")
DUPLICATE_KEY: Final = _code(
    "duplicate-key", "key given twice", "A mapping has the same key twice; one would be lost."
)
UNSUPPORTED: Final = _code(
    "unsupported-yaml",
    "YAML feature that manifests do not use",
    "Tags of applications, keys that are not text, and anchors that contain themselves have no"
    " meaning in a manifest.",
)
TOO_COMPLEX: Final = _code(
    "too-complex",
    "document too complex",
    "A document nests too deeply, has too many values, or multiplies by its aliases.",
)
API_VERSION: Final = _code(
    "api-version",
    "unknown apiVersion",
    "Every document begins with apiVersion: provisioner.azureml/v1.",
)
KIND: Final = _code("kind", "unknown kind", "A document is a Workspace or a ModelDeployment.")
UNKNOWN_KEY: Final = _code(
    "unknown-key", "unknown key", "The key has no meaning here; it is misspelt or misplaced."
)
MISSING_KEY: Final = _code("missing-key", "key missing", "A key that is required is absent.")
TYPE: Final = _code(
    "type", "value of the wrong type", "The value is not of the type that the key takes."
)
VALUE: Final = _code(
    "value", "value not allowed", "The value has the right type, but the key does not take it."
)
NAME: Final = _code("name", "name not allowed", "The name breaks the rules of what it names.")
CHOICE: Final = _code(
    "choice", "exactly one is needed", "Of several keys exactly one may and must be given."
)
DUPLICATE_NAME: Final = _code(
    "duplicate-name",
    "two documents of one name",
    "Documents of one kind need different names, over all files of a run.",
)
UNKNOWN_WORKSPACE: Final = _code(
    "unknown-workspace",
    "workspace document missing",
    "A ModelDeployment names a Workspace document that none of the files holds.",
)
NO_MATCH: Final = _code(
    "no-match",
    "the labels fit no deployment",
    "With -l, only deployments with such labels count, and these manifests have none. Nothing is "
    "done for them.",
    Who.OPERATOR,
)
REGION: Final = _code("region", "unknown Azure region", "No Azure region has this name.")
REGION_MISMATCH: Final = _code(
    "region-mismatch",
    "workspace is in another region",
    "An endpoint lives where its workspace is; documents disagree about where that is.",
)
MODEL: Final = _code(
    "model",
    "model cannot be named like this",
    "A model is named registry/name or by its registry id; only managed compute takes a version.",
)
UNKNOWN_MODEL: Final = _code(
    "unknown-model",
    "no such model",
    "The catalogue knows the registry, and in it a model of nearly this name, but not this one. "
    "Where it can only be a slip of the pen that is an error, else a warning: models appear that "
    "the catalogue does not have, and the registry is asked before anything is written.",
)
INSTANCE_TYPE: Final = _code(
    "instance-type", "unknown VM size", "The instance type is not the name of an Azure VM size."
)
TRAFFIC: Final = _code(
    "traffic",
    "traffic does not add up",
    "The deployments of one endpoint share 100 percent of its traffic, or none.",
)
ENDPOINT_CONFLICT: Final = _code(
    "endpoint-conflict",
    "endpoint wanted twice",
    "Two documents want one endpoint in ways that cannot both be.",
)
PATH: Final = _code(
    "path",
    "output path not allowed",
    "Outputs are written below the current directory.",
)
OUTPUT_CONFLICT: Final = _code(
    "output-conflict",
    "two outputs to one place",
    "Two outputs would overwrite each other.",
)
LIFETIME: Final = _code(
    "lifetime",
    "lifetime not possible",
    "The lifetime contradicts itself or what Azure allows.",
)
MORE: Final = _code(
    "more", "more errors", "A file has so many errors that not all of them are shown."
)
