"""Findings as Markdown, SARIF and data; models as a table; the catalogue's refresh."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.catalog import load, refresh
from provisioner.cli.render.findings import (
    findings_document,
    findings_markdown,
    findings_sarif,
    findings_text,
)
from provisioner.cli.render.models import Entry, model_document, model_page, models_table
from provisioner.cloud import RegistryModel
from provisioner.errors import Position, Problem, Severity
from provisioner.errors.meanings import CORE_QUOTA, LOCKED
from provisioner.resources import ModelRef

TODAY = date(2026, 11, 22)
SHORT = Problem(
    CORE_QUOTA,
    "not enough | cores: 2 × 24 *needed*",
    "ask at <https://ml.azure.com>",
    position=Position("manifests/a b.yaml", 12, 7, "      instanceType: X"),
    resource="/subscriptions/1",
    details=("a: 48", "`b`: 24"),
)
NOTE = Problem(LOCKED, "a lock", "remove it", severity=Severity.NOTE)


def _sarif(*findings: Problem) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(findings_sarif(findings))["runs"][0]
    return run


def test_sarif_points_at_the_line_of_the_manifest() -> None:
    run = _sarif(SHORT, NOTE)
    first, second = run["results"]
    assert first["level"] == "error"
    assert second["level"] == "note"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "manifests/a%20b.yaml", "uriBaseId": "%SRCROOT%"}
    assert (place["region"]["startLine"], place["region"]["startColumn"]) == (12, 7)
    assert "locations" not in second
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert len({rule["id"] for rule in rules}) == len(rules)


def test_a_finding_keeps_its_fingerprint_when_its_line_moves() -> None:
    moved = Problem(
        SHORT.code,
        SHORT.what,
        SHORT.hint,
        position=Position("manifests/a b.yaml", 99, 1),
        resource=SHORT.resource,
    )
    prints = [one["partialFingerprints"]["provision/v1"] for one in _sarif(SHORT, moved)["results"]]
    assert prints[0] == prints[1]
    assert prints[0] != _sarif(NOTE)["results"][0]["partialFingerprints"]["provision/v1"]


def test_every_result_of_sarif_has_a_place() -> None:
    """GitHub refuses the whole log for one result without a location."""
    log = json.loads(findings_sarif((NOTE, SHORT), ("manifests/a.yaml", "manifests/b.yaml")))
    first, second = (one["locations"][0] for one in log["runs"][0]["results"])
    assert first["physicalLocation"]["artifactLocation"]["uri"] == "manifests/a.yaml"
    assert first["physicalLocation"]["region"] == {"startLine": 1, "startColumn": 1}
    assert second["physicalLocation"]["artifactLocation"]["uri"] != "manifests/a.yaml"


def test_stdin_has_no_place_in_sarif() -> None:
    piped = Problem(LOCKED, "a", "b", position=Position("<stdin>", 1, 1))
    assert "locations" not in _sarif(piped)["results"][0]


def test_nothing_found_is_said_in_every_form() -> None:
    assert _sarif()["results"] == []
    assert "no problem found" in findings_text((), "1 deployment")
    assert "no problem found" in findings_markdown((), "1 deployment")
    assert findings_document((), "1 deployment")["blocked"] is False


def test_only_errors_block() -> None:
    assert findings_document((NOTE,), "x")["blocked"] is False
    assert findings_document((NOTE, SHORT), "x")["blocked"] is True
    assert "would be refused" in findings_text((SHORT,), "x")


def test_the_closing_line_breaks_between_words() -> None:
    text = findings_text((SHORT, NOTE), "3 deployments in 2 workspaces", width=50)
    assert "1 note. An\napply would be refused.\n" in text


def test_markdown_shows_text_as_it_is() -> None:
    text = findings_markdown((SHORT,), "1 deployment")
    row = next(line for line in text.splitlines() if line.startswith("| ❌"))
    assert "not enough \\| cores: 2 × 24 \\*needed\\*" in row
    assert "`<https://ml.azure.com>`" in text  # as code: anything else becomes a link


_TEXTS = st.text(min_size=1, max_size=40)


@given(what=_TEXTS, hint=_TEXTS, detail=_TEXTS)
def test_no_text_breaks_out_of_its_row_or_fence(what: str, hint: str, detail: str) -> None:
    one = Problem(CORE_QUOTA, what, hint, details=(detail,))
    text = findings_markdown((one,), "x")
    rows = [line for line in text.split("\n") if line.startswith("| ❌")]
    assert len(rows) == 1
    plain = rows[0].replace("\\\\", "").replace("\\|", "")
    assert plain.count("|") == 5
    assert text.count("<details>") == text.count("</details>") == 1
    assert json.loads(findings_sarif((one,)))["runs"][0]["results"]


def _entry(name: str, registered: RegistryModel | None = None) -> Entry:
    known = load().find(name)
    assert known is not None
    return Entry(known.registry, known.name, known, registered)


def test_models_say_what_is_known_and_leave_out_what_is_not() -> None:
    document = model_document(_entry("Llama-3.3-70B-Instruct"), TODAY)
    assert document["targets"] == ["serverless", "managedCompute"]
    assert "latestVersion" not in document
    assert "swedencentral" in document["serverless"]["regions"]  # type: ignore[index]


def test_managed_compute_follows_the_registry_and_serverless_the_schedule() -> None:
    name = "Meta-Llama-3.1-8B-Instruct"
    ref = ModelRef("azureml-meta", name, "6")
    live = RegistryModel(ref, skus=("Standard_NC24ads_A100_v4",), legacy=date(2026, 1, 1))
    document: Any = model_document(_entry(name, live), TODAY)
    assert document["serverless"]["lifecycle"]["stage"] == "retired"
    assert document["managedCompute"]["lifecycle"]["stage"] == "legacy"
    assert document["managedCompute"]["instanceTypes"] == ["Standard_NC24ads_A100_v4"]
    assert "latest version: 6" in model_page(_entry(name, live), TODAY)


def test_a_narrow_table_drops_the_regions() -> None:
    entries = [_entry("Llama-3.3-70B-Instruct"), _entry("Phi-4")]
    wide, narrow = models_table(entries, TODAY), models_table(entries, TODAY, 80)
    assert "swedencentral" in wide
    assert max(map(len, narrow.splitlines())) <= 80
    assert "azureml/Phi-4" in narrow


@pytest.mark.parametrize("width", [80, 75, 60, 40])
def test_models_fit_the_screen(width: int) -> None:
    entries = [_entry("Llama-3.3-70B-Instruct"), _entry("Llama-3.2-90B-Vision-Instruct")]
    text = models_table(entries, TODAY, width)
    longest = max(len(one.short) for one in entries)
    assert max(map(len, text.splitlines())) <= max(width, longest)
    assert "serverless (retired), managed" in text


def test_a_page_goes_on_below_and_further_in() -> None:
    lines = model_page(_entry("Phi-4"), TODAY, 60).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("  regions: "))
    assert max(map(len, lines)) <= 60
    assert lines[first + 1].startswith("    ")


def test_refresh_writes_what_the_registry_says_and_nothing_else() -> None:
    before = refresh.shipped()
    ref = ModelRef("AZUREML", "phi-4", "7")
    found = RegistryModel(ref, skus=("Standard_NC24ads_A100_v4",), min_sku=(24, 1, 220, 64))
    after = refresh.refreshed(before, [found], TODAY)
    assert refresh.changes(before, after) == ["azureml/Phi-4"]
    entry = next(one for one in after["models"] if one["name"] == "Phi-4")
    assert entry["managed"]["skus"] == ["Standard_NC24ads_A100_v4"]
    assert entry["managed"]["minimum"] == {"cores": 24, "gpus": 1, "memoryGb": 220, "diskGb": 64}
    assert entry["sources"][-1] == "registry"
    assert after["sources"]["registry"]["dated"] == "2026-11-22"
    assert "registry" not in before["sources"]


def test_refresh_without_news_leaves_the_file_byte_for_byte() -> None:
    text = refresh.shipped_path().read_text("utf-8")
    unknown = RegistryModel(ModelRef("contoso", "x", "1"), skus=("Standard_NC24ads_A100_v4",))
    silent = RegistryModel(ModelRef("azureml", "Phi-4", "1"))
    assert refresh.rendered(refresh.refreshed(refresh.shipped(), [unknown, silent], TODAY)) == text
