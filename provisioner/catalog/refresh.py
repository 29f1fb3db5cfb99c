"""The shipped models file, renewed from what registries say. Pure.

Only what a registry publishes is rewritten: the sizes and the least machine of managed compute.
Regions, offers and serverless lifecycles come from documents and stay as they are.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

from provisioner.cloud import RegistryModel

SOURCE = "registry"


def shipped() -> dict[str, Any]:
    """The models file as it is installed."""
    text = files("provisioner.catalog").joinpath("data", "models.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def shipped_path() -> Path:
    """Where that file is."""
    return Path(str(files("provisioner.catalog").joinpath("data", "models.json")))


def refreshed(
    data: Mapping[str, Any], found: Iterable[RegistryModel], today: date
) -> dict[str, Any]:
    """The file's data with the registry's facts laid over it."""
    fresh = copy.deepcopy(dict(data))
    entries = {(one["registry"].lower(), one["name"].lower()): one for one in fresh["models"]}
    for model in found:
        entry = entries.get((model.ref.registry.lower(), model.ref.name.lower()))
        facts = _managed(model)
        if entry is None or not facts:
            continue
        entry["managed"] = {**entry.get("managed", {}), **facts}
        entry["sources"] = [*(one for one in entry["sources"] if one != SOURCE), SOURCE]
        fresh["sources"][SOURCE] = {
            "title": "Azure Machine Learning model registries",
            "location": "azureml://registries",
            "dated": today.isoformat(),
        }
    return fresh


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The models whose entry differs, by short name."""
    old = {(one["registry"], one["name"]): one for one in before["models"]}
    return [
        f"{one['registry']}/{one['name']}"
        for one in after["models"]
        if one != old.get((one["registry"], one["name"]))
    ]


def rendered(data: Mapping[str, Any]) -> str:
    """The file's text: one line per source, region set and model, so that differences read well."""
    parts = []
    for key, value in data.items():
        body = _table(value) if isinstance(value, dict) else _list(value)
        parts.append(f"  {json.dumps(key)}: {body}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _table(value: Mapping[str, Any]) -> str:
    rows = [f"    {json.dumps(name)}: {_flat(one)}" for name, one in value.items()]
    return "{\n" + ",\n".join(rows) + "\n  }"


def _list(value: Sequence[Any]) -> str:
    return "[\n" + ",\n".join(f"    {_flat(one)}" for one in value) + "\n  ]"


def _flat(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _managed(model: RegistryModel) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if model.skus:
        facts["skus"] = list(model.skus)
    if model.min_sku is not None:
        cores, gpus, memory, disk = model.min_sku
        facts["minimum"] = {"cores": cores, "gpus": gpus, "memoryGb": memory, "diskGb": disk}
    return facts
