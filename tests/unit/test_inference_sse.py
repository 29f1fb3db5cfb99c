"""Server-sent events: the standard's cases, and any way of cutting a stream into pieces."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provisioner.inference import sse
from provisioner.inference.sse import EventStream, EventTooLong


def _whole(data: bytes) -> list[str]:
    return EventStream().feed(data)


@pytest.mark.parametrize(
    ("data", "events", "reason"),
    [
        (b"data: a\n\n", ["a"], "one line, one event"),
        (b"data:a\n\ndata:  b\n\n", ["a", " b"], "one space after the colon is dropped, no more"),
        (b"data: a\ndata: b\n\n", ["a\nb"], "lines of one event are joined"),
        (b"data: a\r\rdata: b\r\n\r\n", ["a", "b"], "all three ends of line"),
        (b"data\n\n", [""], "a field without a colon has an empty value"),
        (b"data:\ndata:\n\n", ["\n"], "empty lines of data count"),
        (b"\n\n: ping\n\nevent: x\n\n", [], "no data, no event"),
        (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", ["a"], "other fields are read over"),
        (b"database: a\nDATA: b\n\n", [], "names are exact"),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"], "a byte order mark at the start"),
        (b"data: a\n", [], "an open event is none"),
        (b"data: a\n\ndata: b", ["a"], "nor is one in the middle of a line"),
        ("data: é→𝄞\n\n".encode(), ["é→𝄞"], "UTF-8"),
        (b"data: \xff\n\n", ["�"], "what is no UTF-8 is replaced"),
    ],
)
def test_the_standard(data: bytes, events: list[str], reason: str) -> None:
    assert _whole(data) == events, reason


def _by_the_book(data: bytes) -> list[str]:
    """The standard's algorithm on a whole text, written the slow and obvious way."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\n|\r", text)[:-1]
    events, buffer = [], ""
    for line in lines:
        if line == "":
            if buffer:
                events.append(buffer[:-1])
            buffer = ""
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            if name == "data":
                buffer += value.removeprefix(" ") + "\n"
    return events


_BITS = [b"data", b":", b" ", b"\n", b"\r", b"\r\n", b"a", "é".encode(), b"event", b"\xef\xbb\xbf"]
_streams = st.lists(st.sampled_from(_BITS), max_size=60).map(b"".join)


@given(_streams, st.lists(st.integers(0, 200), max_size=30))
@example(b"data:a\r\n\r\n", [7, 8, 9])
@example(b"\xef\xbb\xbfdata:a\n\n", [1, 2])
def test_pieces_do_not_matter(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    stream = EventStream()
    events = [
        event for start, end in itertools.pairwise(places) for event in stream.feed(data[start:end])
    ]
    assert events == _by_the_book(data)


def test_a_long_event_byte_by_byte() -> None:
    data = b"data: " + b"x" * 50_000 + b"\n\n"
    stream = EventStream()
    events = [event for byte in data for event in stream.feed(bytes([byte]))]
    assert events == ["x" * 50_000]


@pytest.mark.parametrize("endless", [b"x" * 700, b"data: x\n" * 300])
def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch, endless: bytes) -> None:
    monkeypatch.setattr(sse, "LONGEST_EVENT", 500)
    stream = EventStream()
    stream.feed(endless[:400])
    with pytest.raises(EventTooLong):
        stream.feed(endless[400:])
