"""The catalogue's data files hold together, and overrides change what they say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from provisioner.emulator.models import load_models, load_registries, parse_asset_id
from provisioner.emulator.vm_sizes import as_arm, load_families, load_vm_sizes

META = "azureml-meta"


@dataclass(frozen=True)
class Change:
    registry: str
    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def test_every_model_is_in_a_registry_and_runs_on_sizes_that_exist() -> None:
    sizes, registries = load_vm_sizes(), load_registries()
    for (registry, name), model in load_models().items():
        assert (registry, name) == (model.registry.lower(), model.name.lower())
        assert registry in registries
        assert model.serverless or model.managed, model
        assert len(set(model.versions)) == len(model.versions)
        for size in model.managed.instance_types if model.managed else ():
            assert size.lower() in sizes, (model.name, size)


def test_facts_that_the_documents_state() -> None:
    models = load_models()
    large = models[META, "meta-llama-3.1-405b-instruct"].serverless
    assert large is not None
    assert large.offer is not None
    assert "swedencentral" not in large.regions
    assert large.offer.publisher == "metagenai"
    assert large.offer.invented, "no plan id of Meta's is public"
    model = models[META, "meta-llama-3.1-8b-instruct"]
    assert model.stage(dt.date(2026, 6, 12), serverless=True) == "GenerallyAvailable"
    assert model.stage(dt.date(2026, 6, 13), serverless=True) == "Retired"
    assert model.stage(dt.date(2026, 6, 13), serverless=False) == "GenerallyAvailable"
    phi = models["azureml", "phi-4"].serverless
    assert phi is not None
    assert phi.offer is None, "sold by Microsoft: no Marketplace"
    chat = models[META, "llama-2-7b-chat"].managed
    assert chat is not None
    assert (chat.min_sku, chat.invented) == ("12|2|224|1474", False)


def test_sizes_count_against_their_family() -> None:
    size = load_vm_sizes()["standard_nc24ads_a100_v4"]
    assert (size.vcpus, size.gpus, size.family.exempt) == (24, 1, True)
    assert not load_families()["standardncsv3family"].exempt
    assert as_arm(size)["family"] == "standardNCADSA100v4Family"


def test_an_override_changes_one_thing_and_adds_unknown_models() -> None:
    models = load_models(
        [
            Change(META, "Llama-3.3-70B-Instruct", {"serverless": {"regions": ["eastus"]}}),
            Change("contoso", "Own", {"versions": [3], "managed": {"skus": "tiny"}}),
        ]
    )
    changed = models[META, "llama-3.3-70b-instruct"].serverless
    assert changed is not None
    assert changed.regions == {"eastus"}
    assert changed.offer is not None
    own = models["contoso", "own"]
    assert (own.latest, own.publisher) == ("3", "contoso")
    assert len(models) == len(load_models()) + 1


def test_an_override_that_cannot_be_held_names_the_model() -> None:
    with pytest.raises(ValueError, match="Phi-4"):
        load_models([Change("azureml", "Phi-4", {"versions": 7})])


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("azureml://registries/r/models/m", ("r", "m", None)),
        ("AZUREML://Registries/r/Models/m/Versions/4", ("r", "m", "4")),
        ("azureml://registries/r/models/m/labels/latest", ("r", "m", None)),
        ("azureml://registries/r/models/m/versions", None),
        ("azureml://registries//models/m", None),
        ("azureml:m:1", None),
        ("", None),
    ],
)
def test_asset_ids(text: str, parsed: tuple[str, str, str | None] | None) -> None:
    assert parse_asset_id(text) == parsed
