"""Any text and any bytes give manifests or designed errors, never anything else."""

from __future__ import annotations

import contextlib
import io
import json
import string
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from provisioner.errors import InvalidManifest
from provisioner.manifest import Manifests, load
from provisioner.manifest.load import load_text
from provisioner.manifest.loaded import Source
from provisioner.manifest.parse import MAX_DEPTH, parse
from provisioner.manifest.starter import starter

settings.register_profile("manifest", deadline=None)  # machines differ; limits are tested apart
settings.load_profile("manifest")

YAML_LIKE = st.lists(
    st.sampled_from(
        [*"abk01.-:,[]{}&*!|>'\"%@`#?~ \t\n\ré\x85\u2028", "\n  ", "\n- ", "---\n", ": ", "<<"]
    ),
    max_size=200,
).map("".join)
WORDS = st.text(string.printable + "é\U0001f600", max_size=12)
KEYS = st.one_of(
    st.sampled_from([
        "apiVersion", "kind", "metadata", "spec", "name", "labels", "workspace", "model", "target",
        "serverless", "managedCompute", "inline", "lifetime", "ttl", "outputs", "dotenv", "path",
        "rollout", "steps", "region", "[key]", "endpointName", "identity", "type", "marketplace",
    ]),
    WORDS,
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        WORDS,
        st.sampled_from(["provisioner.azureml/v1", "Workspace", "ModelDeployment", "ml-prod"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=30,
)


def outcome(text: str) -> Manifests | None:
    """Manifests, or None when they were refused by problems that say everything they should."""
    try:
        return load_text(text, "any.yaml")
    except InvalidManifest as error:
        refused = error
    assert refused.problems
    for problem in refused.problems:
        assert problem.what
        assert problem.hint
        if problem.position is not None:
            assert problem.position.line >= 1
            assert problem.position.column >= 1
    return None


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    stream = io.TextIOWrapper(io.BytesIO(data))
    with contextlib.suppress(InvalidManifest):
        load(["-"], stdin=stream)


@given(YAML_LIKE)
@example("? a")
@example("%YAML 9.9\n---\n")
@example("!!str")
@example("&a *a : x")
@example("a: !!int x")
@settings(max_examples=150)
def test_any_yaml_like_text(text: str) -> None:
    outcome(text)


@given(st.dictionaries(KEYS, VALUES, max_size=6), st.sampled_from(["Workspace", "ModelDeployment"]))
@settings(max_examples=150)
def test_any_values_under_the_right_kind(values: dict[str, Any], kind: str) -> None:
    outcome(json.dumps({**values, "apiVersion": "provisioner.azureml/v1", "kind": kind}))


STARTER = list(starter())


@given(st.data())
@settings(max_examples=150)
def test_any_slip_of_the_pen(data: st.DataObject) -> None:
    """A few characters of a good manifest are lost, doubled or exchanged."""
    text = STARTER.copy()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(st.sampled_from(["", text[at] * 2, "\t", ":", "[", "x", "\n", "'"]))
    outcome("".join(text))


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def plain(value: Any) -> bool:
    """Whether JSON writes it in a way that reads back the same: all but the longest numbers."""
    if isinstance(value, dict):
        return all(map(plain, value.values()))
    if isinstance(value, list):
        return all(map(plain, value))
    return not isinstance(value, int | float) or isinstance(value, bool) or abs(value) < 10**17


@given(VALUES.filter(plain))
@settings(max_examples=150)
def test_json_reads_as_json(value: Any) -> None:
    """JSON is read as JSON means it; but for U+2028, which ends a line in YAML 1.1."""
    problems: list[Any] = []
    documents = list(parse(Source("any.json", json.dumps(value, ensure_ascii=False)), problems))
    if depth(value) <= MAX_DEPTH:
        assert not problems
        assert documents[0].value == value


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-z][a-z0-9-]{1,20}[a-z0-9]", fullmatch=True),
            st.sampled_from(["enabled", "disabled"]),
            st.integers(1, 50),
            st.sampled_from(["90s", "5m", "72h", "7d"]),
            st.dictionaries(
                st.from_regex(r"[a-z]{1,8}", fullmatch=True),
                st.text("aé:#'\" -{", max_size=9),
                max_size=3,
            ),
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda each: each[0],
    )
)
def test_what_is_written_is_what_is_read(wishes: list[tuple[str, str, int, str, Any]]) -> None:
    inline = {
        "subscriptionId": "11111111-1111-1111-1111-111111111111",
        "resourceGroup": "rg",
        "workspaceName": "mlw",
        "region": "eastus2",
    }
    documents = []
    for index, (name, safety, count, ttl, labels) in enumerate(wishes):
        serverless = {"serverless": {"contentSafety": safety}}
        managed = {"managedCompute": {"instanceType": "Standard_DS3_v2", "instanceCount": count}}
        documents.append(
            {
                "apiVersion": "provisioner.azureml/v1",
                "kind": "ModelDeployment",
                "metadata": {"name": name, "labels": labels},
                "spec": {
                    "workspace": inline,
                    "model": "azureml/Phi-4",
                    "target": managed if index % 2 else serverless,
                    "lifetime": {"ttl": ttl},
                },
            }
        )
    manifests = load_text("\n---\n".join(json.dumps(one, indent=1) for one in documents))

    assert [one.name for one in manifests.deployments] == [wish[0] for wish in wishes]
    for loaded, (_, safety, count, _, labels) in zip(manifests.deployments, wishes, strict=True):
        target = loaded.document.spec.target
        assert dict(loaded.document.metadata.labels) == labels
        if target.managed_compute is not None:
            assert target.managed_compute.instance_count == count
        else:
            assert target.serverless is not None
            assert target.serverless.content_safety == safety
        snippet = loaded.position("metadata", "name").snippet
        column = loaded.position("metadata", "name").column
        assert snippet[column - 1 :].startswith(json.dumps(loaded.name))
