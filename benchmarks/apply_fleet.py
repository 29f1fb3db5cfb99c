"""The figures of fleets: applying, and finding nothing to do, beside other ways in the same run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.contest import AZ, COMMAND, CONTENDERS, EVERYBODY, HEADER, Figure, compare, found_by
from benchmarks.fleet import Fleet
from benchmarks.results import Line, Ratio, Value

SMALL = Fleet(5, 2, 2)
DEFAULT = Fleet(10, 4, 5)
SLOW = Fleet(10, 4, 1)
LARGE = Fleet(100, 2, 5)
HUGE = Fleet(1000, 2, 5)
ROUNDS = 3
"""Of raw and ours in turn: what a noisy machine does to one of them, it does to both."""


def run() -> Iterator[Line]:
    yield from _small()
    yield from _default()
    yield from _throttled()
    yield from _slow(5)
    yield from _slow(30)
    yield from _large()


def _table(title: str, figures: Iterator[Figure], kept: list[Figure]) -> Iterator[Line]:
    yield f"\n### {title}\n\n{HEADER}"
    for figure in figures:
        kept.append(figure)
        yield str(figure)
    yield ""


def _of(figures: Sequence[Figure], contender: str, job: str) -> list[Figure]:
    return [one for one in figures if (one.contender, one.job) == (contender, job)]


def _small() -> Iterator[Line]:
    everybody = tuple(one for one in EVERYBODY if AZ.exists() or not one.startswith("az "))
    if not AZ.exists():
        yield "(no Azure CLI here: `make interop` makes one)"
    title = f"{SMALL.endpoints} endpoints in {SMALL.workspaces} workspaces"
    yield from _table(title, compare(SMALL, "bench", everybody), [])


def _default() -> Iterator[Line]:
    kept: list[Figure] = []

    def rounds() -> Iterator[Figure]:
        for _ in range(ROUNDS):
            yield from compare(DEFAULT, "bench", ("raw", "ours"))
        yield from compare(DEFAULT, "bench", (COMMAND, *CONTENDERS[2:]))

    title = f"{DEFAULT.endpoints} endpoints in {DEFAULT.workspaces} workspaces, {ROUNDS} rounds"
    yield from _table(title, rounds(), kept)
    pairs = list(zip(_of(kept, "raw", "apply"), _of(kept, "ours", "apply"), strict=True))
    seconds = [(raw.seconds, ours.seconds) for raw, ours in pairs]
    yield _against_raw("makespan of applying", "s", 1.15, seconds)
    yield _against_raw("CPU of applying", "s", 2.5, [(raw.cpu, ours.cpu) for raw, ours in pairs])
    looks = 2 * DEFAULT.workspaces
    sent = [(raw.requests, ours.requests - ours.checking - looks) for raw, ours in pairs]
    yield _against_raw("requests of applying, besides the first look and preflight", "", 1.0, sent)
    yield Value("answers 429 while applying", sum(ours.throttled for _, ours in pairs), 0, "")


def _throttled() -> Iterator[Line]:
    kept: list[Figure] = []
    title = f"{DEFAULT.endpoints} endpoints, ARM's buckets on (250 + 25/s reads, 200 + 10/s writes)"
    yield from _table(title, compare(DEFAULT, "bench-throttled", ("raw", "ours")), kept)
    raw, ours = _of(kept, "raw", "apply")[0], _of(kept, "ours", "apply")[0]
    yield _against_raw("makespan of applying", "s", 1.15, [(raw.seconds, ours.seconds)])
    yield Value("answers 429", sum(one.throttled for one in kept if one.contender == "ours"), 0, "")


def _slow(seconds: int) -> Iterator[Line]:
    kept: list[Figure] = []
    scene = f"slow-services-{seconds}s-no-retry-after"
    title = f"{SLOW.endpoints} endpoints of services that take {seconds} s and send no Retry-After"
    yield from _table(title, compare(SLOW, scene, ("raw", "ours"), ("apply",)), kept)
    ours = _of(kept, "ours", "apply")[0]
    # A subscription, then an endpoint.
    yield Ratio("makespan of applying", "critical path", 2.0 * seconds, ours.seconds, 1.1)


def _large() -> Iterator[Line]:
    large: list[Figure] = []
    yield from _table(
        f"{LARGE.endpoints:,} endpoints in {LARGE.workspaces} workspaces",
        found_by(LARGE, "bench", CONTENDERS),
        large,
    )
    found = _of(large, "ours", "find")[0]
    yield Value("finding them unchanged", found.seconds, 2, "s")
    yield Value("CPU of finding them unchanged", found.cpu, 2, "s")
    yield Value("memory of finding them unchanged", found.memory, 150, "MiB")
    yield Value("requests per workspace", round(found.requests / LARGE.workspaces, 2), 4, "")
    huge: list[Figure] = []
    yield from _table(
        f"{HUGE.endpoints:,} endpoints in {HUGE.workspaces:,} workspaces",
        found_by(HUGE, "bench", ("ours",)),
        huge,
    )
    for job in ("apply", "find"):
        few, many = _of(large, "ours", job)[0], _of(huge, "ours", job)[0]
        yield Ratio(
            f"CPU per endpoint, job {job}",
            f"at {LARGE.endpoints:,}",
            1000 * few.cpu / LARGE.endpoints,
            1000 * many.cpu / HUGE.endpoints,
            1.0,
            "ms",
        )


def _against_raw(what: str, unit: str, limit: float, pairs: Sequence[tuple[float, float]]) -> Ratio:
    """Of (raw, ours) the pair with the median ratio: what is printed fits together."""
    ordered = sorted(pairs, key=lambda pair: pair[1] / pair[0])
    raw, ours = ordered[len(ordered) // 2]
    return Ratio(what, "raw", raw, ours, limit, unit)
