"""What a benchmark yields: a line of Markdown, or a measured figure beside its limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ratio:
    """`ours` and `baseline` in the same `unit`; `limit` is the largest allowed ours/baseline."""

    what: str
    against: str
    baseline: float
    ours: float
    limit: float
    unit: str = "s"

    @property
    def ratio(self) -> float:
        return self.ours / self.baseline

    @property
    def met(self) -> bool:
        return self.ratio <= self.limit

    def __str__(self) -> str:
        ours, baseline = (_amount(value, self.unit) for value in (self.ours, self.baseline))
        return (
            f"{self.what}: {ours}, {self.against} {baseline}: {self.ratio:.2f}× "
            f"(at most {self.limit:g}×): {_verdict(self.met)}"
        )


@dataclass(frozen=True, slots=True)
class Value:
    """One measured value beside its limit, both in `unit`."""

    what: str
    value: float
    limit: float
    unit: str
    more_is_better: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.more_is_better else self.value <= self.limit

    def __str__(self) -> str:
        bound = "at least" if self.more_is_better else "at most"
        value, limit = _amount(self.value, self.unit), f"{self.limit:g} {self.unit}".strip()
        return f"{self.what}: {value} ({bound} {limit}): {_verdict(self.met)}"


Line = str | Ratio | Value


def _amount(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if value == int(value) and not unit else f"{value:.3g}"
    return f"{text} {unit}".strip()


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"
