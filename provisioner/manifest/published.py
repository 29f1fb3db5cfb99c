"""The JSON Schema that editors use (draft 2020-12)."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from provisioner.manifest.schema import ModelDeployment, Workspace


def json_schema() -> dict[str, object]:
    """One schema for a document of either kind."""
    schema: dict[str, Any] = TypeAdapter(Workspace | ModelDeployment).json_schema(by_alias=True)
    return schema
