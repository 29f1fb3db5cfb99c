"""What is published about manifests: JSON Schema, reference, starter and examples."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from provisioner import catalog
from provisioner.catalog import Stage
from provisioner.errors import InvalidManifest
from provisioner.manifest import json_schema, load
from provisioner.manifest.explain import parts
from provisioner.manifest.load import load_text
from provisioner.manifest.reference import markdown
from provisioner.manifest.schema import ModelDeployment, Workspace
from provisioner.manifest.starter import starter

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = sorted((ROOT / "manifests").glob("*.yaml"))
WORKSPACES = ROOT / "manifests" / "workspaces.yaml"


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_each_example_loads_beside_the_workspaces(file: Path) -> None:
    manifests = load([str(WORKSPACES), str(file)])
    assert manifests.workspaces
    assert bool(manifests.deployments) == (file != WORKSPACES)
    assert not manifests.warnings


def test_the_examples_are_one_set_that_shows_both_targets() -> None:
    manifests = load([str(ROOT / "manifests")])
    targets = [one.document.spec.target for one in manifests.deployments]
    assert any(target.serverless for target in targets)
    assert any(target.managed_compute for target in targets)
    assert any(t.managed_compute and t.managed_compute.shared_quota for t in targets)
    assert len({str(one.document.spec.workspace) for one in manifests.deployments}) >= 3


def test_the_examples_wish_for_what_can_be_had() -> None:
    """Known models, in a region of theirs, not deprecated; consent wherever terms are signed."""
    manifests = load([str(ROOT / "manifests")])
    known = catalog.load()
    regions = {one.name: one.document.spec.region for one in manifests.workspaces}
    for one in manifests.deployments:
        spec = one.document.spec
        model = known.find(spec.model)
        assert model is not None, one.name
        if spec.target.serverless is None:
            assert model.managed is not None, one.name
            continue
        assert model.serverless is not None, one.name
        assert spec.marketplace.accept_terms, one.name
        assert model.lifecycle is not None, one.name
        assert model.lifecycle.stage(date(2026, 11, 22)) is Stage.GA, one.name
        region = regions.get(str(spec.workspace), getattr(spec.workspace, "region", None))
        assert model.serverless.regions is None or region in model.serverless.regions, one.name


def test_the_starter_loads() -> None:
    manifests = load_text(starter())
    assert len(manifests.workspaces) == 1
    assert len(manifests.deployments) == 2


def test_the_reference_is_current() -> None:
    """Rewrite it with: python -m provisioner.manifest.reference > docs/manifest.md"""
    assert (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8") == markdown()


def test_every_key_is_described() -> None:
    for part in parts(Workspace, ModelDeployment):
        assert part.__doc__
        for name, field in part.model_fields.items():
            assert field.description, f"{part.__name__}.{name}"


class TestJsonSchema:
    schema: Any = json_schema()
    validator = Draft202012Validator(schema)

    def test_it_is_a_schema_and_json(self) -> None:
        Draft202012Validator.check_schema(self.schema)
        assert json.loads(json.dumps(self.schema)) == self.schema

    @pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
    def test_the_examples_obey_it(self, file: Path) -> None:
        for document in yaml.load_all(file.read_text(encoding="utf-8"), yaml.BaseLoader):
            # BaseLoader makes text of everything; only the types of scalars are not compared
            errors = [e for e in self.validator.iter_errors(document) if e.validator != "oneOf"]
            assert not errors

    @pytest.mark.parametrize(
        ("spec", "valid"),
        [
            ({"target": {"serverless": {}}}, True),
            ({"target": {}}, False),
            ({"target": {"serverless": {}, "managedCompute": {"instanceType": "x"}}}, False),
            ({"target": {"managedCompute": {}}}, False),
            ({"target": {"serverless": {"endpointnam": "x"}}}, False),
            ({"target": {"serverless": {"contentSafety": "off"}}}, False),
            ({"target": {"serverless": {}}, "lifetime": {"ttl": "72h"}}, True),
            ({"target": {"serverless": {}}, "lifetime": {"ttl": 72}}, False),
            ({"target": {"serverless": {}}, "outputs": [{"dotenv": {"path": "a"}}]}, True),
            ({"target": {"serverless": {}}, "outputs": [{}]}, False),
            (
                {"target": {"serverless": {}}, "lifetime": {"ttl": "72h", "expiresAt": "x"}},
                False,
            ),
        ],
    )
    def test_it_says_what_the_loader_says(self, spec: dict[str, Any], valid: bool) -> None:
        inline = {
            "subscriptionId": "11111111-1111-1111-1111-111111111111",
            "resourceGroup": "rg",
            "workspaceName": "mlw",
            "region": "eastus2",
        }
        document = {
            "apiVersion": "provisioner.azureml/v1",
            "kind": "ModelDeployment",
            "metadata": {"name": "abc"},
            "spec": {"workspace": inline, "model": "azureml-meta/Llama-3.3-70B-Instruct", **spec},
        }
        assert self.validator.is_valid(document) is valid
        if valid:
            load_text(json.dumps(document))
        else:
            with pytest.raises(InvalidManifest):
                load_text(json.dumps(document))
