"""Manifests: what a person wishes for, read from YAML with every position kept.

    sources ──read──▶ texts ──parse──▶ values + marks ──schema──▶ documents ──check──▶ Manifests

`load` reports every problem of every file at once, each at its line and column.
"""

from __future__ import annotations

from provisioner.manifest.load import load
from provisioner.manifest.loaded import Loaded, Manifests
from provisioner.manifest.published import json_schema
from provisioner.manifest.read import files
from provisioner.manifest.schema import (
    API_VERSION,
    InlineWorkspace,
    ManagedCompute,
    ModelDeployment,
    Output,
    Serverless,
    Workspace,
)

__all__ = [
    "API_VERSION",
    "InlineWorkspace",
    "Loaded",
    "ManagedCompute",
    "Manifests",
    "ModelDeployment",
    "Output",
    "Serverless",
    "Workspace",
    "files",
    "json_schema",
    "load",
]
