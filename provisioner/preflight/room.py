"""Whether what a plan takes fits into what is free, given what it gives back, and when. Pure.

Of cores and of counts alike: a step takes some or gives some back, and a plan's needs say which of
them surely comes before which. What has no order may come in time or not; where that matters, the
plan can be given an order in which it fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from provisioner.plan.steps import Step


@dataclass(slots=True)
class Order:
    """What comes before what, transitively, in a plan."""

    needs: dict[str, tuple[str, ...]]
    changed: bool = False
    _before: dict[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Order:
        return cls({step.id: step.needs for step in steps})

    def before(self, id: str) -> frozenset[str]:
        """All steps that are done before the step begins."""
        found = self._before.get(id)
        if found is None:
            seen: set[str] = set()
            waiting = list(self.needs.get(id, ()))
            while waiting:
                one = waiting.pop()
                if one in self.needs and one not in seen:
                    seen.add(one)
                    waiting += self.needs[one]
            found = self._before[id] = frozenset(seen)
        return found

    def put_before(self, first: Sequence[str], then: Iterable[str]) -> None:
        """Have all of `then` wait for all of `first`, but for those that wait for it themselves."""
        for id in then:
            known = self.before(id)
            new = [
                one
                for one in first
                if one != id and one not in known and id not in self.before(one)
            ]
            if new:
                self.needs[id] = (*self.needs[id], *new)
                self.changed = True
                self._before.clear()

    def applied(self, steps: Sequence[Step]) -> list[Step]:
        """The steps with the needs as they are now."""
        return [
            step if self.needs[step.id] == step.needs else replace(step, needs=self.needs[step.id])
            for step in steps
        ]


@dataclass(frozen=True, slots=True)
class Room:
    """How much is free, who takes of it and who gives back, by id of the step."""

    free: int
    takers: Mapping[str, int]
    givers: Mapping[str, int]

    @property
    def plenty(self) -> bool:
        """Whether it fits even if nothing is given back."""
        return sum(self.takers.values()) <= self.free

    def needed(self, order: Order) -> int:
        """The most that can be taken at a time: only what surely comes before counts as free."""
        left = dict(self.givers)
        total = 0
        for id, wanted in self.takers.items():
            lacks = wanted
            for giver in order.before(id) & left.keys():
                used = min(lacks, left[giver])
                left[giver] -= used
                lacks -= used
            total += lacks
        return total

    def least(self, order: Order) -> int:
        """The least that must be free, whatever else comes in time.

        The last one to take begins when all others have taken and nothing that waits for it has
        been given back.
        """
        total = sum(self.takers.values())
        return min(
            (
                total - sum(n for giver, n in self.givers.items() if id not in order.before(giver))
                for id in self.takers
            ),
            default=0,
        )

    def arrange(self, order: Order) -> None:
        """Have the takers wait for the givers: for those that wait for no taker themselves, and, as
        long as that is not enough, for the others one by one."""
        late = [
            giver for giver in self.givers if not order.before(giver).isdisjoint(self.takers.keys())
        ]
        order.put_before([one for one in self.givers if one not in late], self.takers)
        for giver in late:
            if self.needed(order) <= self.free:
                return
            order.put_before([giver], self.takers)
