"""Text from elsewhere drives no terminal, no runner of a pipeline and no comment."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provisioner.cli.render.documents import _yaml
from provisioner.cli.render.doomed import doomed_table
from provisioner.cli.render.findings import findings_markdown, findings_sarif
from provisioner.cli.render.problems import problem_text
from provisioner.errors import Code, Position, Problem, Who
from provisioner.errors.harmless import as_code, as_html, as_markdown, clean, inert, json_text
from provisioner.plan import Plan
from provisioner.plan.markdown import markdown
from provisioner.reap import Deadline, Doomed
from provisioner.resources import Kind, ResourceId, State, WorkspaceId

# What Azure's agent, GitHub's runner (both its syntaxes) and a terminal would obey.
COMMANDS = re.compile(r"##vso\[|##\[|^\s*::[^\n]*?::", re.MULTILINE)
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
NASTY = [
    "##vso[task.setvariable variable=PATH]/tmp/evil",
    "a ##VSO[task.complete result=Succeeded]b",
    "see ##[set-output name=key;]mine",
    "::set-output name=key::mine",
    "  ::stop-commands::x",
    "one\n::add-mask::e\n##[error]two",
    "\x1b]0;title\x07\x1b[2J\x9b31m",
    "\u202etxt.exe\u2066",
    "half \ud800 of a pair",
    "line\u2028end\x85",
]
CODE = Code("test.code", "title", "meaning", Who.AZURE)


@pytest.mark.parametrize("text", NASTY)
def test_a_line_for_people_commands_nobody(text: str) -> None:
    shown = clean(text)
    assert not COMMANDS.search(shown)
    assert not CONTROLS.search(shown)
    assert "\n" not in shown


@pytest.mark.parametrize("text", NASTY)
def test_text_that_keeps_its_lines_holds_no_command(text: str) -> None:
    assert not COMMANDS.search(inert(text))
    assert inert(text).count("\n") == text.count("\n")


@pytest.mark.parametrize("text", ["::1", "10::20", "a ## b", "C# ## [x]", "std::vector"])
def test_innocent_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


SAID = st.one_of(
    st.text(), st.sampled_from(NASTY), st.tuples(st.text(), st.sampled_from(NASTY)).map("".join)
)
DOCUMENTS = st.dictionaries(SAID, st.one_of(SAID, st.integers(), st.lists(SAID, max_size=3)))


@given(DOCUMENTS)
def test_json_reads_back_the_same(document: dict[str, object]) -> None:
    for form in ({}, {"indent": 2}):
        text = json_text(document, **form)
        assert json.loads(text) == document
        assert not COMMANDS.search(text)
        assert not CONTROLS.search(text)


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.sampled_from(NASTY))))
def test_yaml_reads_back_the_same(document: dict[str, object]) -> None:
    text = _yaml(document)
    assert not COMMANDS.search(text)
    assert not CONTROLS.search(text)
    if "\ud800" not in "".join(map(str, document.values())):  # PyYAML's reader takes no halves
        assert yaml.safe_load(text) == document


def test_a_long_text_in_yaml_is_not_folded_into_a_command() -> None:
    text = _yaml({"a": "x " * 5000 + "::add-mask::y"})
    assert not COMMANDS.search(text)


@pytest.mark.parametrize("text", NASTY)
def test_a_problem_commands_nobody(text: str) -> None:
    place = Position(f"m/{text}.yaml", 1, 1, f"key: {text}")
    problem = Problem(CODE, text, text, position=place, details=(text,), resource=text)
    for width in (None, 40):
        shown = problem_text(problem, width=width)
        assert not COMMANDS.search(shown)
        assert not CONTROLS.search(shown)
    for report in (findings_markdown([problem], "x"), findings_sarif([problem])):
        assert not COMMANDS.search(report)
        assert not CONTROLS.search(report)


@pytest.mark.parametrize(
    "text",
    [
        "ask @octocat now",
        "see https://evil.example/a",
        "www.evil.example",
        "as in #12 and o/r#3 and GH-4",
        "mail a@b.example",
    ],
)
def test_markdown_of_text_makes_no_link_and_no_mention(text: str) -> None:
    """GitHub finds links and mentions in plain text, escaped or not; only in code it does not."""
    live = re.compile(r"@|://|www\.|#\d|GH-\d")
    plain = re.sub(r"(`+).*?\1", "", as_markdown(text))
    assert not live.search(plain)
    assert not live.search(re.sub(r"<code>.*?</code>", "", as_html(text)))


def test_markdown_keeps_code_and_tables_whole() -> None:
    assert as_code("a`b|c") == "``a`b\\|c``"
    assert as_markdown("[x](y) <b> | `c`") == "\\[x\\]\\(y\\) \\<b\\> \\| \\`c\\`"


def test_a_files_name_adds_no_markup_to_the_report() -> None:
    place = Position("m/`<img src=x>.yaml", 1, 1, "key: value")
    text = findings_markdown([Problem(CODE, "what", "hint", position=place)], "x")
    assert "``m/`<img src=x>.yaml:1:1``" in text
    assert "<img" not in text.replace("``m/`<img src=x>.yaml:1:1``", "")


def test_a_plans_notices_mention_nobody() -> None:
    notice = Problem(CODE, "tagged @octocat", "see https://evil.example/x")
    text = markdown(Plan("default", datetime(2030, 1, 1, tzinfo=UTC), notices=(notice,)))
    assert "`@octocat`" in text
    assert "`https://evil.example/x`" in text


def test_the_table_of_what_expires_shows_tags_harmlessly() -> None:
    """Name and stack come from tags, which whoever may tag the endpoint writes."""
    workspace = WorkspaceId("11111111-1111-1111-1111-111111111111", "rg", "ws")
    now = datetime(2030, 1, 1, tzinfo=UTC)
    doomed = Doomed(
        id=ResourceId(workspace, Kind.SERVERLESS_ENDPOINT, "e"),
        name="\x1b[2J##vso[task.complete]x",
        stack="::error::\u202ex",
        deadline=Deadline(now, by_azure=False),
        left=timedelta(0),
        state=State.SUCCEEDED,
    )
    for width in (None, 40):
        shown = doomed_table([doomed], timedelta(hours=1), width)
        assert not COMMANDS.search(shown)
        assert not CONTROLS.search(shown)
