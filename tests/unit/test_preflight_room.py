"""Room: what is refused fits in no order, and what is arranged fits in every one that is left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from provisioner.plan import ordered
from provisioner.plan.steps import Because, Delete, Step
from provisioner.preflight.room import Order, Room
from provisioner.resources import Kind, ResourceId, WorkspaceId

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WORKSPACE = WorkspaceId("11111111-1111-1111-1111-111111111111", "rg", "mlw")
MOST = 5


def step(number: int, needs: tuple[str, ...]) -> Step:
    """What kind of step it is does not matter here."""
    target = ResourceId(WORKSPACE, Kind.ONLINE_ENDPOINT, f"step-{number}")
    return Delete(
        id=str(number), reason="", needs=needs, resource_id=target, because=Because.PRUNED
    )


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[Step], Room]:
    """A few steps that take or give; each may need some of those before it."""
    count = draw(st.integers(1, MOST))
    earlier = [st.sets(st.sampled_from(range(n))) if n else st.just(set()) for n in range(count)]
    steps = [step(n, tuple(str(one) for one in sorted(draw(earlier[n])))) for n in range(count)]
    moves = {one.id: draw(st.integers(-3, 3)) for one in steps}
    return steps, Room(
        free=draw(st.integers(0, 4)),
        takers={id: n for id, n in moves.items() if n > 0},
        givers={id: -n for id, n in moves.items() if n < 0},
    )


def orders(order: Order) -> Iterator[tuple[str, ...]]:
    """Every sequence of the steps that their needs allow."""
    for ids in permutations(order.needs):
        place = {id: at for at, id in enumerate(ids)}
        if all(place[need] < place[id] for id in ids for need in order.needs[id]):
            yield ids


def fits(room: Room, ids: tuple[str, ...]) -> bool:
    free = room.free
    for id in ids:
        free += room.givers.get(id, 0) - room.takers.get(id, 0)
        if free < 0:
            return False
    return True


@given(plans())
def test_what_is_refused_fits_in_no_order(drawn: tuple[list[Step], Room]) -> None:
    steps, room = drawn
    order = Order.of(steps)
    if room.least(order) > room.free:
        assert not any(fits(room, ids) for ids in orders(order))


@given(plans())
def test_what_is_needed_at_most_fits_in_every_order(drawn: tuple[list[Step], Room]) -> None:
    steps, room = drawn
    order = Order.of(steps)
    if room.plenty or room.needed(order) <= room.free:
        assert all(fits(room, ids) for ids in orders(order))


@given(plans())
def test_arranging_keeps_all_needs_and_never_goes_in_a_circle(
    drawn: tuple[list[Step], Room],
) -> None:
    steps, room = drawn
    order = Order.of(steps)
    before = room.needed(order)
    room.arrange(order)
    arranged = ordered(order.applied(steps))
    assert {one.id for one in arranged} == {one.id for one in steps}
    assert all(set(old.needs) <= set(order.needs[old.id]) for old in steps)
    assert room.needed(order) <= before
    if not any(order.follows(giver, room.takers) for giver in room.givers):
        waits = sum(room.takers.values()) - sum(room.givers.values())
        assert room.needed(order) == max(0, waits)


def test_who_has_the_least_choice_is_counted_first_whatever_the_order() -> None:
    givers = {str(n): 1 for n in range(9)}
    for last in givers:
        steps = [step(n, ()) for n in range(9)]
        steps += [step(9, tuple(givers)), step(10, (last,))]
        room = Room(free=0, takers={"9": 8, "10": 1}, givers=givers)
        assert room.needed(Order.of(steps)) == 0


def test_arranging_hundreds_of_rollouts_is_cheap() -> None:
    """Each makes the new one, moves the traffic, then removes the old one."""
    numbers = range(0, 600, 3)
    steps = [step(n, () if n % 3 == 0 else (str(n - 1),)) for n in range(600)]
    order = Order.of(steps)
    room = Room(24, {str(n): 24 for n in numbers}, {str(n + 2): 24 for n in numbers})
    started = time.process_time()
    room.arrange(order)
    assert time.process_time() - started < 2  # 60 ms on the machine it was written on
    assert room.needed(order) == 24
    assert len(ordered(order.applied(steps))) == 600
