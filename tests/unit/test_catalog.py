"""The catalogue: every fact has a source, and the questions that are asked of it."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest

from provisioner import catalog
from provisioner.catalog import CatalogModel, Lifecycle, Sku, Stage
from provisioner.catalog.catalog import load as load_catalog

CATALOG = catalog.load()


def test_every_entry_has_a_source_with_a_date() -> None:
    entries: list[CatalogModel | Sku] = [*CATALOG.models.values(), *CATALOG.skus.values()]
    assert len(CATALOG.models) > 50
    assert len(CATALOG.skus) > 80
    for entry in entries:
        assert entry.sources, entry.name
        assert set(entry.sources) <= set(CATALOG.sources), entry.name
        assert date(2023, 1, 1) <= entry.dated <= date(2026, 11, 22), entry.name


def test_entries_agree_with_each_other() -> None:
    names = {model.name.lower() for model in CATALOG.models.values()}
    later = {"deepseek-v4-pro", "deepseek-v4-flash"}  # named as replacements, not yet listed
    for model in CATALOG.models.values():
        assert model.registry in CATALOG.registries
        assert model.serverless or model.managed, model.name
        regions = (model.serverless and model.serverless.regions) or frozenset()
        assert regions <= set(CATALOG.regions), model.name
        skus = (model.managed and model.managed.skus) or frozenset()
        assert all(CATALOG.sku(sku) for sku in skus), model.name
        for replacement in model.lifecycle.replacements if model.lifecycle else ():
            assert replacement.lower() in names | later, model.name


def test_no_plan_id_is_made_up() -> None:
    plans = [m.serverless.plan for m in CATALOG.models.values() if m.serverless]
    assert any(plan and plan.offer for plan in plans)
    assert not any(plan and plan.plan for plan in plans)  # none was found in public


@pytest.mark.parametrize(
    "text",
    [
        "azureml-meta/Llama-3.3-70B-Instruct",
        "AzureML-Meta/llama-3.3-70b-instruct",
        "azureml://registries/azureml-meta/models/Llama-3.3-70B-Instruct",
        "azureml://registries/azureml-meta/models/Llama-3.3-70B-Instruct/versions/4",
        "azureml://registries/azureml-meta/models/Llama-3.3-70B-Instruct/labels/latest",
        "Llama-3.3-70B-Instruct",
    ],
)
def test_short_names_and_registry_ids_find_the_model(text: str) -> None:
    model = CATALOG.find(text)
    assert model is not None
    assert model.short == "azureml-meta/Llama-3.3-70B-Instruct"
    assert model.ref.id == "azureml://registries/azureml-meta/models/Llama-3.3-70B-Instruct"


def test_what_is_not_in_the_catalogue() -> None:
    assert CATALOG.find("azureml-meta/Llama-99") is None
    assert CATALOG.find("azureml-mistral/Llama-3.3-70B-Instruct") is None
    assert CATALOG.sku("Standard_NC1") is None
    assert CATALOG.region("atlantis") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("azureml-meta/Llama-3.3-70B-Instuct", "azureml-meta/Llama-3.3-70B-Instruct"),
        ("Llama-33-70B-Instruct", "azureml-meta/Llama-3.3-70B-Instruct"),
        ("azureml/Phi4", "azureml/Phi-4"),
        ("azureml-mistral/codestral-2503", "azureml-mistral/Codestral-2501"),
    ],
)
def test_near_misses(text: str, expected: str) -> None:
    assert CATALOG.near(text)[0] == expected


def test_far_misses_suggest_nothing() -> None:
    assert CATALOG.near("azureml-meta/gpt-oss") == []
    assert CATALOG.near("x" * 10_000) == []


def test_a_region_is_found_by_either_of_its_names() -> None:
    assert CATALOG.region("East US 2") == CATALOG.region("eastus2") == "eastus2"


@pytest.mark.parametrize(
    ("lifecycle", "day", "stage"),
    [
        (Lifecycle(Stage.GA), date(2030, 1, 1), Stage.GA),
        (Lifecycle(Stage.GA, retirement=date(2026, 7, 15)), date(2026, 7, 14), Stage.GA),
        (Lifecycle(Stage.GA, retirement=date(2026, 7, 15)), date(2026, 7, 15), Stage.RETIRED),
        (Lifecycle(Stage.LEGACY, deprecation=date(2026, 1, 1)), date(2025, 1, 1), Stage.LEGACY),
        (Lifecycle(Stage.LEGACY, deprecation=date(2026, 1, 1)), date(2026, 1, 1), Stage.DEPRECATED),
        (Lifecycle(Stage.DEPRECATED), date(2020, 1, 1), Stage.DEPRECATED),
        (Lifecycle(Stage.RETIRED), date(2020, 1, 1), Stage.RETIRED),
        (Lifecycle(Stage.PREVIEW, legacy=date(2026, 1, 1)), date(2026, 2, 1), Stage.LEGACY),
    ],
)
def test_stages_of_life(lifecycle: Lifecycle, day: date, stage: Stage) -> None:
    assert lifecycle.stage(day) is stage


def test_it_loads_in_no_time_and_only_once() -> None:
    load_catalog.cache_clear()
    started = time.process_time()
    first = catalog.load()
    assert time.process_time() - started < 0.15  # 6 ms on the machine it was written on
    assert catalog.load() is first


def test_the_data_are_packaged() -> None:
    folder = Path(catalog.__file__).parent / "data"
    assert {path.name for path in folder.glob("*.json")} == {
        "models.json",
        "regions.json",
        "skus.json",
    }


def test_of_two_accounts_of_a_models_life_the_one_further_on_counts() -> None:
    day = date(2026, 11, 25)
    published = catalog.Lifecycle(catalog.Stage.GA)
    registered = catalog.Lifecycle(catalog.Stage.GA, retirement=date(2026, 6, 30))
    assert catalog.furthest((None, published, registered), day) is registered
    assert catalog.furthest((published, registered), date(2026, 6, 1)) is published
    assert catalog.furthest((None,), day) is None
