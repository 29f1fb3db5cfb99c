"""The picture in the README is what the commands print today."""

from __future__ import annotations

import html
import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]


def words(image: Path) -> list[str]:
    """The text of an SVG, line by line, without what differs between two runs of the model."""
    lines: dict[float, str] = {}
    for y, text in re.findall(
        r'<text[^>]*? y="([\d.]+)"[^>]*>(.*?)</text>', image.read_text("utf-8"), re.DOTALL
    ):
        lines[float(y)] = lines.get(float(y), "") + html.unescape(text)
    return [lines[y].replace("\N{NO-BREAK SPACE}", " ").strip() for y in sorted(lines)]


def test_the_picture_is_up_to_date(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "docs/terminal.py"))["main"](tmp_path / "new.svg")
    assert words(tmp_path / "new.svg") == words(ROOT / "docs/terminal.svg"), "run make docs"


def test_the_picture_is_whole() -> None:
    path = ROOT / "docs/terminal.svg"
    ElementTree.parse(path)
    text = path.read_text("utf-8")
    assert "@font-face" not in text
    assert "No changes." in " ".join(words(path))
