"""Snippets run as printed: nothing in a name or path becomes code of its own."""

from __future__ import annotations

import pytest

from provisioner.inference.snippets import Facts, Library, snippet

NAMES = ("URL", "KEY", "MODEL")


@pytest.mark.parametrize("library", list(Library))
def test_a_line_break_in_a_path_ends_no_comment(library: Library) -> None:
    facts = Facts(
        "x\nimport evil", "m", NAMES, load=". 'out/a\nevil'", ca_bundle="/tmp/ca\nevil.pem"
    )
    for line in snippet(library, facts).splitlines():
        assert "evil" not in line or line.startswith("#")
