"""Whether what a plan takes fits into what is free, given what it gives back, and when. Pure.

Of cores and of counts alike: a step takes some or gives some back, and a plan's needs say which of
them surely comes before which. What has no order may come in time or not; where that matters, the
plan can be given an order in which it fits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from provisioner.plan.steps import Step


@dataclass(slots=True)
class Order:
    """What comes before what, transitively, in a plan.

    Sets of steps are bits of a number, the n-th bit the n-th step: a plan may have hundreds, each
    compared with each, and what is told of it must not hang on how Python orders a set of texts.
    """

    needs: dict[str, tuple[str, ...]]
    changed: bool = False
    _bits: dict[str, int] = field(default_factory=dict)
    _before: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Order:
        bits = {step.id: 1 << number for number, step in enumerate(steps)}
        return cls({step.id: step.needs for step in steps}, _bits=bits)

    def copy(self) -> Order:
        return replace(self, needs=dict(self.needs), _before=dict(self._before))

    def bits(self, ids: Iterable[str]) -> int:
        """The steps as a set of bits."""
        found = 0
        for id in ids:
            found |= self._bits[id]
        return found

    def before(self, id: str) -> int:
        """All steps that are done before the step begins, as bits."""
        found = self._before.get(id)
        if found is None:
            found = 0
            waiting = list(self.needs.get(id, ()))
            while waiting:
                one = waiting.pop()
                bit = self._bits.get(one, 0)  # what is no step of the plan is done already
                if bit and not found & bit:
                    known = self._before.get(one)
                    found |= bit | (known or 0)
                    waiting += self.needs[one] if known is None else ()
            self._before[id] = found
        return found

    def follows(self, id: str, others: Iterable[str]) -> bool:
        """Whether the step waits for any of the others."""
        return bool(self.before(id) & self.bits(others))

    def put_before(self, first: Iterable[str], then: Collection[str]) -> None:
        """Have all of `then` wait for all of `first`, but for those that wait for it themselves."""
        for one in first:
            bit = self._bits[one]
            done = self.before(one) | bit
            new = [id for id in then if not done & self._bits[id] and not self.before(id) & bit]
            if not new:
                continue
            self.changed = True
            for id in new:
                self.needs[id] = (*self.needs[id], one)
            moved = self.bits(new)
            for id, known in self._before.items():
                if (known | self._bits[id]) & moved:
                    self._before[id] = known | done

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
        """The most that can be taken at a time: only what surely comes before counts as free.

        Those that wait for the fewest choose first, as they have the least choice.
        """
        left = {order.bits([giver]): given for giver, given in self.givers.items()}
        giving, total = order.bits(self.givers), 0
        choices = [(order.before(id) & giving, wanted) for id, wanted in self.takers.items()]
        for choice, wanted in sorted(choices, key=lambda one: one[0].bit_count()):
            lacks, usable = wanted, choice & giving
            while lacks and usable:
                giver = usable & -usable
                used = min(lacks, left[giver])
                left[giver] -= used
                lacks -= used
                usable ^= giver
                giving ^= 0 if left[giver] else giver
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
                total - sum(n for giver, n in self.givers.items() if not order.follows(giver, [id]))
                for id in self.takers
            ),
            default=0,
        )

    def arrange(self, order: Order) -> None:
        """Have the takers wait for the givers: for those that wait for no taker themselves, and, as
        long as that is not enough, for the others one by one."""
        late = [giver for giver in self.givers if order.follows(giver, self.takers)]
        takers = self.takers.keys()
        order.put_before([one for one in self.givers if one not in late], takers)
        for giver in late:
            if self.needed(order) <= self.free:
                return
            order.put_before([giver], takers)
