"""Reading manifests: what is accepted, where everything stands, and what is refused quickly.

Longer than other modules because every kind of source and every limit has its case.
"""

from __future__ import annotations

import io
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from provisioner.errors import InvalidManifest, Severity
from provisioner.manifest import InlineWorkspace, Manifests, load
from provisioner.manifest.load import load_text
from provisioner.manifest.parse import scalar
from provisioner.manifest.read import MAX_BYTES
from provisioner.manifest.scalars import seconds
from provisioner.manifest.selector import Selector

ROOT = Path(__file__).resolve().parent.parent.parent

WORKSPACE = """\
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {name: ml-prod}
spec:
  subscriptionId: 11111111-1111-1111-1111-111111111111
  resourceGroup: rg-ml-prod
  region: eastus2
"""
SERVERLESS = """\
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {name: NAME, labels: {team: search, tier: one}}
spec:
  workspace: ml-prod
  model: azureml-meta/Llama-3.3-70B-Instruct
  target:
    serverless:
"""
MANAGED = """\
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {name: phi-4-blue}
spec:
  workspace:
    subscriptionId: 22222222-2222-2222-2222-222222222222
    resourceGroup: rg
    workspaceName: mlw
    region: West US 3
  model: azureml://registries/azureml/models/Phi-4/versions/7
  target:
    managedCompute:
      instanceType: Standard_NC24ads_A100_v4
      rollout: {strategy: blueGreen, bake: 1h30m}
      livenessProbe: {initialDelay: 10m, failureThreshold: 30}
      identity: {type: UserAssigned, userAssigned: [/subscriptions/x/y]}
  lifetime: {expiresAt: 2030-01-31T19:00:00+01:00, onExpiry: renew}
  outputs:
    - dotenv: {path: out/phi.env}
    - githubOutput:
    - keyVault: {vaultUrl: https://kv.vault.azure.net}
"""


def several(count: int) -> str:
    """A workspace and `count` deployments."""
    deployments = (SERVERLESS.replace("NAME", f"a-{n}") for n in range(count))
    return "---\n".join((WORKSPACE, *deployments))


def codes_of(text: str) -> list[str]:
    with pytest.raises(InvalidManifest) as caught:
        load_text(text)
    return [problem.code.id for problem in caught.value.problems]


def test_both_kinds_and_both_targets_load() -> None:
    manifests = load_text("---\n".join((WORKSPACE, SERVERLESS.replace("NAME", "llama"), MANAGED)))

    assert [one.name for one in manifests.workspaces] == ["ml-prod"]
    assert manifests.workspaces[0].document.azure_name == "ml-prod"
    llama, phi = manifests.deployments
    assert llama.document.endpoint_name == "llama"
    assert llama.document.spec.target.serverless is not None
    assert llama.document.spec.target.serverless.content_safety == "enabled"
    assert not llama.document.spec.marketplace.accept_terms
    inline = phi.document.spec.workspace
    assert isinstance(inline, InlineWorkspace)
    assert inline.workspace_name == "mlw"
    managed = phi.document.spec.target.managed_compute
    assert managed is not None
    assert (managed.instance_count, managed.traffic, managed.shared_quota) == (1, None, False)
    assert (managed.rollout.bake, managed.rollout.steps) == (5400.0, (10, 50, 100))
    assert managed.liveness_probe is not None
    assert managed.liveness_probe.initial_delay == 600.0
    assert phi.document.spec.lifetime is not None
    assert phi.document.spec.lifetime.expires_at == datetime(2030, 1, 31, 18, tzinfo=UTC)
    assert [output.kind for output in phi.document.spec.outputs] == [
        "dotenv",
        "githubOutput",
        "keyVault",
    ]
    assert not manifests.warnings


def test_every_value_knows_where_it_was_written() -> None:
    phi = load_text(MANAGED, "m.yaml").deployments[0]

    assert str(phi.position()) == "m.yaml:1:1"
    position = phi.position("spec", "target", "managedCompute", "instanceType")
    assert str(position) == "m.yaml:13:21"
    assert position.snippet == "      instanceType: Standard_NC24ads_A100_v4"
    assert phi.position("spec", "target", "managed_compute", "instance_type") == position
    assert str(phi.place.key("spec", "model")) == "m.yaml:10:3"
    assert str(phi.position("spec", "outputs", 2, "keyVault", "vaultUrl")) == "m.yaml:21:28"
    left_out = phi.position("spec", "target", "managedCompute", "traffic")
    assert left_out == phi.position("spec", "target", "managedCompute")
    assert phi.position("spec", "outputs", 9) == phi.position("spec", "outputs")


def test_positions_hold_in_later_documents_and_after_carriage_returns() -> None:
    text = "# é\r\n" + "---\n".join((WORKSPACE, MANAGED)).replace("\n", "\r\n")
    phi = load_text(text, "m.yaml").deployments[0]
    position = phi.position("metadata", "name")
    assert (position.line, position.column) == (12, 18)
    assert position.snippet == "metadata: {name: phi-4-blue}"


def test_values_of_aliases_and_merges_have_positions() -> None:
    text = SERVERLESS.replace("NAME", "a").replace("    serverless:\n", "    serverless: &s {}\n")
    text += """\
  marketplace: &m {acceptTerms: true}
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {name: b}
spec:
  workspace: ml-prod
  model: &model azureml-meta/Llama-3.3-70B-Instruct
  target: {serverless: {}}
  marketplace:
    <<: {acceptTerms: true, publisher: x, offer: y, plan: z}
    acceptTerms: false
  lifetime: {ttl: &ttl 72h}
  outputs: []
"""
    manifests = load_text(f"{WORKSPACE}---\n{text}")
    marketplace = manifests.deployments[1].document.spec.marketplace
    assert (marketplace.accept_terms, marketplace.plan) == (False, "z")
    assert manifests.deployments[1].position("spec", "marketplace", "plan").column == 59


def test_an_alias_reads_as_what_its_anchor_stands_for() -> None:
    text = SERVERLESS.replace("NAME", "a") + "      endpointName: &n same\n"
    text += "  outputs: [{dotenv: {path: *n}}]\n"
    one = load_text(f"{WORKSPACE}---\n{text}").deployments[0]
    assert one.document.endpoint_name == "same"
    assert one.document.spec.outputs[0].dotenv is not None
    assert one.document.spec.outputs[0].dotenv.path == "same"
    assert one.position("spec", "outputs", 0, "dotenv", "path").line == 18


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("FALSE", False),
        ("0", 0), ("-12", -12), ("1.5", 1.5), ("1e3", 1000.0),
        ("yes", "yes"), ("on", "on"), ("No", "No"), ("y", "y"),
        ("010", "010"), ("0x1f", "0x1f"), ("0o17", "0o17"), ("+1", "+1"), ("1_000", "1_000"),
        ("12:30", "12:30"), ("2030-01-31", "2030-01-31"), (".inf", ".inf"), (".5", ".5"),
        ("1e999", "1e999"), ("9" * 30, "9" * 30), ("tRuE", "tRuE"), ("١", "١"),
    ],
)  # fmt: skip
def test_plain_scalars_are_what_json_would_make_of_them(text: str, value: object) -> None:
    result = scalar(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("72h", 259200.0), ("1h30m", 5400.0), ("7d", 604800.0), ("500ms", 0.5), ("1.5s", 1.5)],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "h", "72", "72 h", "-1h", "1w", "1h 30m", "1e3s", "９h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        seconds(text)


class TestSources:
    def test_files_folders_and_standard_input_make_one_set(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "sub" / "deeper").mkdir(parents=True)
        (tmp_path / "sub" / ".hidden").mkdir()
        (tmp_path / "w.yaml").write_text(WORKSPACE)
        (tmp_path / "sub" / "b.yml").write_text(SERVERLESS.replace("NAME", "b"))
        (tmp_path / "sub" / "deeper" / "c.json").write_text(
            '{"apiVersion": "provisioner.azureml/v1", "kind": "ModelDeployment",\n'
            '\t"metadata": {"name": "c"}, "spec": {"workspace": "ml-prod",\n'
            '"model": "azureml\\/Phi-4", "target": {"serverless": {}}}}'
        )
        (tmp_path / "sub" / ".hidden" / "x.yaml").write_text("no: manifest")
        (tmp_path / "sub" / "kustomization.yaml").write_text("resources: []")
        (tmp_path / "sub" / "notes.txt").write_text("no manifest")
        stdin = io.StringIO(SERVERLESS.replace("NAME", "d"))

        manifests = load(["w.yaml", "sub", "-"], stdin=stdin)

        assert [one.name for one in manifests.deployments] == ["b", "c", "d"]
        assert manifests.files == ("w.yaml", "sub/b.yml", "sub/deeper/c.json", "<stdin>")
        assert manifests.deployments[1].document.spec.model == "azureml/Phi-4"

    def test_a_file_that_is_given_twice_is_read_once(self, tmp_path: Path) -> None:
        file = tmp_path / "a.yaml"
        file.write_text(several(1))
        (tmp_path / "link.yaml").symlink_to(file)
        assert len(load([str(file), str(tmp_path), str(file)]).deployments) == 1

    def test_a_byte_order_mark_is_no_text(self, tmp_path: Path) -> None:
        file = tmp_path / "a.yaml"
        file.write_bytes(b"\xef\xbb\xbf" + several(1).encode())
        assert load([str(file)]).workspaces[0].position().column == 1

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(InvalidManifest) as caught:
            load([str(tmp_path / "none.yaml"), str(tmp_path / "empty"), "a\0b"])
        codes = [problem.code.id for problem in caught.value.problems]
        assert codes == ["manifest.not-found", "manifest.empty", "manifest.not-found"]

    def test_nothing_at_all(self) -> None:
        with pytest.raises(InvalidManifest, match="no manifests were given"):
            load([])

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_a_file_that_may_not_be_read(self, tmp_path: Path) -> None:
        file = tmp_path / "a.yaml"
        file.write_text(WORKSPACE)
        file.chmod(0)
        with pytest.raises(InvalidManifest) as caught:
            load([str(file)])
        assert caught.value.problems[0].code.id == "manifest.unreadable"

    def test_a_loop_of_links_is_unreadable(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").symlink_to(tmp_path / "b.yaml")
        (tmp_path / "b.yaml").symlink_to(tmp_path / "a.yaml")
        with pytest.raises(InvalidManifest) as caught:
            load([str(tmp_path / "a.yaml")])
        assert caught.value.problems[0].code.id == "manifest.unreadable"

    def test_an_empty_path_is_not_the_current_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "a.yaml").write_text(several(1))
        with pytest.raises(InvalidManifest, match="the path given with -f is empty"):
            load([""])

    def test_standard_input_that_is_closed(self) -> None:
        with pytest.raises(InvalidManifest, match="it is closed") as caught:
            load(["-"], stdin=None)
        assert "ls -l" not in caught.value.problems[0].hint

    def test_a_folder_that_links_to_itself_is_read_once(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text(several(1))
        (tmp_path / "again").symlink_to(tmp_path)
        assert len(load([str(tmp_path)]).deployments) == 1


class TestLimits:
    """Hostile input is refused, and quickly: the bound is some twenty times what it takes."""

    def timed(self, *sources: str) -> list[str]:
        started = time.process_time()
        with pytest.raises(InvalidManifest) as caught:
            load(sources)
        assert time.process_time() - started < 5.0
        return [problem.code.id for problem in caught.value.problems]

    def test_fifty_megabytes_are_not_even_read(self, tmp_path: Path) -> None:
        file = tmp_path / "big.yaml"
        with file.open("wb") as stream:
            stream.truncate(50 * 1024 * 1024)
        started = time.process_time()
        assert self.timed(str(file)) == ["manifest.too-large"]
        assert time.process_time() - started < 0.1

    def test_an_endless_device_is_read_to_the_limit_only(self) -> None:
        assert self.timed("/dev/zero") == ["manifest.too-large"]

    def test_endless_standard_input(self) -> None:
        with pytest.raises(InvalidManifest) as caught:
            load(["-"], stdin=io.StringIO("x" * (MAX_BYTES + 10)))
        assert caught.value.problems[0].code.id == "manifest.too-large"

    @pytest.mark.parametrize(
        "text",
        [
            "a: &a [x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"b{n}: &b{n} [{','.join([f'*b{n - 1}' if n else '*a'] * 9)}]\n"
                      for n in range(60)),
            "&a [*a]",
            "[" * 2_000_000,
            "{" * 2_000_000,
            "- " * 1_000_000,
            "? " * 1_000_000,
            "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 2000)),
            "x: [" + "1," * 1_500_000 + "]",
            "<<: *a\n" * 300_000,
            "!a " * 1_000_000,
            "--- &a x\n" * 200_000,
            "---\n[\n" * 300_000,
            "---\na: [\n" + "---\n- {\n" * 100_000,
            "x: " + "a" * 4_000_000,
            '"' + "\\x41" * 1_000_000,
            "#" * 4_000_000,
            "*a " * 1_000_000,
        ],
        ids=lambda text: repr(text[:12]),
    )  # fmt: skip
    def test_bombs(self, text: str, tmp_path: Path) -> None:
        file = tmp_path / "bomb.yaml"
        file.write_text(text)
        assert all(code.startswith("manifest.") for code in self.timed(str(file)))

    def test_aliases_may_not_multiply_over_many_documents(self, tmp_path: Path) -> None:
        labels = ", ".join(f"k{n}: v" for n in range(30))
        one = SERVERLESS.replace("{team: search, tier: one}", f"&l {{{labels}}}")
        one = one.replace("spec:", "spec: {x: [" + "*l, " * 1000 + "]}\nspec2:")
        file = tmp_path / "many.yaml"
        file.write_text("---\n".join([one] * 200))
        assert "manifest.too-complex" in self.timed(str(file))

    def test_a_file_full_of_errors_shows_the_first_hundred(self) -> None:
        codes = codes_of("kind: x\n---\n" * 500)
        assert len(codes) == 101
        assert codes.count("manifest.more") == 1

    def test_a_thousand_documents_load_fast(self) -> None:
        text = several(1000)
        load_text(text)
        started = time.process_time()
        assert len(load_text(text).deployments) == 1000
        assert time.process_time() - started < 1.5  # 0.3 s on the machine it was written on


def test_selecting_by_label_keeps_workspaces() -> None:
    other = SERVERLESS.replace("NAME", "other").replace("team: search", "team: tools")
    manifests = load_text(f"{several(1)}---\n{other}")

    def names(*selectors: str) -> list[str]:
        chosen: Manifests = manifests.select(Selector.of(selectors))
        assert chosen.workspaces == manifests.workspaces
        left_out = [one.name for one in chosen.left_out]
        assert sorted([*(one.name for one in chosen.deployments), *left_out]) == ["a-0", "other"]
        return [one.name for one in chosen.deployments]

    assert names() == ["a-0", "other"]
    assert names("team=search") == ["a-0"]
    assert names("team=search,tier=two") == []
    assert names("team == search", "tier=two") == []
    assert names("tier=one") == ["a-0", "other"]
    assert names("team!=search") == ["other"]
    assert names("colour!=red") == ["a-0", "other"]
    assert names("team in (search, tools),tier=one") == ["a-0", "other"]
    assert names("team notin (search,none)") == ["other"]
    assert names("team", "!colour") == ["a-0", "other"]
    assert names("!team") == []


@pytest.mark.parametrize(
    "text", ["", " ", "=x", "team in", "team in ()", "team in (a", "a b", "!", "team=x,", "!a=b"]
)
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(ValueError, match="selects no label"):
        Selector.of([text])


def test_labels_that_fit_nothing_are_told_with_those_that_there_are() -> None:
    manifests = load_text(several(1))
    (warning,) = manifests.select(Selector.of(["team=serach"])).warnings
    assert warning.code.id == "manifest.no-match"
    assert "team=search" in warning.hint
    assert manifests.select(Selector.of(["team=search"])).warnings == ()


def test_a_registry_of_ones_own_is_accepted_and_a_near_miss_of_azures_is_a_warning() -> None:
    def with_model(model: str) -> Manifests:
        text = SERVERLESS.replace("NAME", "a")
        text = text.replace("azureml-meta/Llama-3.3-70B-Instruct", model)
        return load_text(f"{WORKSPACE}---\n{text}")

    assert not with_model("my-company/our-model").warnings
    (warning,) = with_model("azuremlmeta/Llama-3.3-70B-Instruct").warnings
    assert warning.severity is Severity.WARNING
    assert '"azureml-meta"' in warning.hint


def test_a_broken_file_hides_no_reference_behind_it(tmp_path: Path) -> None:
    """The workspace may be in the file that could not be read: only that is reported."""
    (tmp_path / "a.yaml").write_text("kind: [")
    (tmp_path / "b.yaml").write_text(SERVERLESS.replace("NAME", "b"))
    with pytest.raises(InvalidManifest) as caught:
        load([str(tmp_path)])
    assert [problem.code.id for problem in caught.value.problems] == ["manifest.syntax"]


def test_problems_come_in_the_order_of_the_text() -> None:
    text = several(3).replace("team:", "team: 1, team:").replace("region:", "regin:")
    with pytest.raises(InvalidManifest) as caught:
        load_text(text)
    lines = [problem.position.line for problem in caught.value.problems if problem.position]
    assert lines == sorted(lines)
    assert len(lines) >= 4


def test_every_problem_tells_what_and_how(tmp_path: Path) -> None:
    cases: list[Any] = list((ROOT / "tests" / "cases" / "manifest").glob("*.yaml"))
    assert len(cases) > 40
    for case in cases:
        with pytest.raises(InvalidManifest) as caught:
            load([str(case)])
        for problem in caught.value.problems:
            assert problem.what, case
            assert problem.hint, case
            assert "Traceback" not in problem.what
