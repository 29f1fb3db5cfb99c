"""What the catalogue knows better than the manifest: models and VM sizes; and where outputs go.

Only a slip of the pen is an error: registries, models and VM sizes exist that the catalogue does
not list, and preflight asks Azure about those.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterator
from typing import Final, assert_never

from provisioner import catalog
from provisioner.errors import Problem, Severity
from provisioner.manifest import codes
from provisioner.manifest.loaded import Loaded
from provisioner.manifest.near import is_slip, near
from provisioner.manifest.schema import ModelDeployment
from provisioner.manifest.sinks import (
    AzureDevOps,
    Dotenv,
    GithubOutput,
    JsonFile,
    KeyVault,
    KubernetesSecret,
    Output,
    YamlFile,
)
from provisioner.resources import ModelRef

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_VM_SIZE: Final = re.compile(
    r"Standard_[A-Z]{1,3}\d{1,3}(-\d{1,3})?[a-z]{0,6}(_[A-Za-z0-9]{1,8}){0,3}", re.IGNORECASE
)


def model(loaded: Loaded[ModelDeployment]) -> Problem | None:
    """What is wrong with how the model is named, if anything."""
    text = loaded.document.spec.model
    position = loaded.position("spec", "model")
    ref = ModelRef.parse(text)
    if not _well_formed(ref):
        return Problem(
            codes.MODEL,
            f'"{text[:120]}" does not name a model of a registry',
            _registry_hint(text),
            position=position,
        )
    serverless = loaded.document.spec.target.serverless is not None
    if serverless and ref.version is not None:
        return Problem(
            codes.MODEL,
            "a serverless endpoint always serves the latest version of its model",
            f"write {ref.registry}/{ref.name}, without /versions/{ref.version}",
            position=position,
        )
    known = catalog.load()
    if known.find(ref.id) is not None:
        return None
    if ref.registry.lower() not in known.registries:
        return _unknown_registry(ref, known, loaded)
    meant = known.near(ref.id)
    if not meant:
        return None
    slip = any(is_slip(f"{ref.registry}/{ref.name}", short) for short in meant)
    return Problem(
        codes.UNKNOWN_MODEL,
        f'the registry {ref.registry} is not known to hold "{ref.name}"',
        "did you mean "
        + " or ".join(f'"{short}"' for short in meant)
        + ("?" if slip else "? If it is newer than the catalogue, nothing needs to change"),
        Severity.ERROR if slip else Severity.WARNING,
        position,
    )


def _well_formed(ref: ModelRef) -> bool:
    parts = (ref.registry, ref.name, ref.version if ref.version is not None else "1")
    return all(_WORD.fullmatch(part) for part in parts)


def _registry_hint(text: str) -> str:
    takes = "write registry/name, such as azureml-meta/Llama-3.3-70B-Instruct"
    name = text.rsplit("/", 1)[-1].split(":", maxsplit=1)[0]
    meant = catalog.load().near(name)
    return f'did you mean "{meant[0]}"?' if meant else takes


def _unknown_registry(
    ref: ModelRef, known: catalog.Catalog, loaded: Loaded[ModelDeployment]
) -> Problem | None:
    """A registry nobody has published may be the user's own: at most a warning."""
    meant = near(ref.registry, known.registries, ratio=0.85)
    if meant is None:
        return None
    return Problem(
        codes.UNKNOWN_MODEL,
        f'the registry "{ref.registry}" is not one of Azure\'s',
        f'did you mean "{meant}"? A registry of your own needs no change',
        Severity.WARNING,
        loaded.position("spec", "model"),
    )


def instance_type(loaded: Loaded[ModelDeployment]) -> Problem | None:
    """What is wrong with the VM size, if anything."""
    managed = loaded.document.spec.target.managed_compute
    if managed is None:
        return None
    size, known = managed.instance_type, catalog.load()
    if known.sku(size) is not None:
        return None
    names = tuple(sku.name for sku in known.skus.values())
    meant = near(size, names, ratio=0.8) or near(f"Standard_{size}", names, ratio=0.9)
    well_formed = _VM_SIZE.fullmatch(size) is not None
    if well_formed and (meant is None or not _misspelt(size, meant)):
        return None
    return Problem(
        codes.INSTANCE_TYPE,
        f'"{size[:80]}" is not a known VM size',
        f'did you mean "{meant}"?'
        if meant
        else "write it as Azure does, such as Standard_NC24ads_A100_v4",
        Severity.WARNING if well_formed else Severity.ERROR,
        loaded.position("spec", "target", "managedCompute", "instanceType"),
    )


def _misspelt(size: str, meant: str) -> bool:
    """Whether a well-formed size may be a GPU size with a slip in its letters.

    It may as well be another one: Azure has both NC24s_v3 and NC24rs_v3. Other figures make another
    size in any case (v5 beside v4).
    """
    gpu = meant.startswith("Standard_N")
    return gpu and re.findall(r"\d+", size) == re.findall(r"\d+", meant)


def places(name: str, output: Output) -> Iterator[tuple[tuple[str, ...], str | None, str]]:
    """The places that an output writes to: a comparable form, the part of it that is written
    (None: all of it), and the place for people."""
    sink = output.sink
    match sink:
        case KeyVault():
            vault = sink.vault_url.rstrip("/").lower()
            for secret in (sink.url_secret or f"{name}-url", sink.key_secret or f"{name}-key"):
                yield (vault, secret.lower()), None, f"the secret {secret} of {vault}"
        case Dotenv():
            yield _file(sink.path), sink.prefix or "", sink.path
        case JsonFile() | YamlFile():
            yield _file(sink.path), None, sink.path
        case KubernetesSecret():
            if sink.path is not None:
                yield _file(sink.path), None, sink.path
                return
            where = f"the Secret {sink.namespace}/{sink.name}"
            yield ("kubernetes", sink.context or "", sink.namespace, sink.name), None, where
        case GithubOutput() | AzureDevOps():
            # Azure Pipelines knows variables without regard to case.
            place = (output.kind, (sink.prefix or "").casefold())
            yield place, None, f'{output.kind} with the prefix "{sink.prefix or ""}"'
        case _:
            assert_never(sink)


def _file(path: str) -> tuple[str, ...]:
    return ("file", on_any_disk(posixpath.normpath(path)))


def on_any_disk(path: str) -> str:
    """What two paths have in common that are one file on some systems: there, neither case nor how
    an accent is written tells them apart."""
    return unicodedata.normalize("NFC", path).casefold()
