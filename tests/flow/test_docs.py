"""The commands of the guide run as printed, in order, in an empty folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.flow.conftest import Folder

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide.md"


def test_the_guide(folder: Folder) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    commands = [
        line
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(commands) >= 10
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "provision"
        folder.run(*arguments)
