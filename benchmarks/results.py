"""One measured figure beside what it is measured against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """`ours` and `baseline` in the same `unit`; `limit` is the largest allowed ours/baseline."""

    what: str
    against: str
    baseline: float
    ours: float
    limit: float | None = None
    unit: str = "s"

    @property
    def ratio(self) -> float:
        return self.ours / self.baseline

    @property
    def met(self) -> bool:
        return self.limit is None or self.ratio <= self.limit

    def __str__(self) -> str:
        goal = "" if self.limit is None else f" (limit {self.limit:g}×)"
        verdict = "" if self.met else "  MISSED"
        return (
            f"{self.what}: {self.ours:.3f} {self.unit}, {self.against} {self.baseline:.3f} "
            f"{self.unit}: {self.ratio:.2f}×{goal}{verdict}"
        )
