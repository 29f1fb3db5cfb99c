"""The token buckets: their sizes, their fairness, and who corrects them."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.azure.budget import Bucket, Budget, kind_of, remaining_in
from tests.contract.adapter_server import FakeClock


def opened(capacity: float, rate: float, clock: FakeClock) -> Bucket:
    """A bucket that has heard from the service already."""
    bucket = Bucket(capacity, rate, clock)
    bucket.heard()
    return bucket


async def drain(bucket: Bucket, count: int) -> None:
    for _ in range(count):
        await bucket.take()
        bucket.heard()


async def test_a_full_bucket_gives_its_burst_at_once() -> None:
    clock = FakeClock()
    await drain(opened(200, 10, clock), 200)
    assert clock.elapsed == 0


async def test_beyond_the_burst_the_rate_rules() -> None:
    clock = FakeClock()
    await drain(opened(200, 10, clock), 440)
    assert clock.elapsed == pytest.approx(24.0, abs=0.01)


async def test_waiters_are_served_in_order() -> None:
    clock = FakeClock()
    bucket = opened(1, 10, clock)
    served: list[int] = []

    async def waiter(number: int) -> None:
        await bucket.take()
        served.append(number)
        bucket.heard()

    await asyncio.gather(*(waiter(number) for number in range(30)))
    assert served == list(range(30))


async def test_a_waiter_that_gives_up_takes_nothing() -> None:
    clock = FakeClock()
    bucket = opened(1, 10, clock)
    await drain(bucket, 1)
    waiting = asyncio.create_task(bucket.take())
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    before = clock.elapsed
    await bucket.take()
    assert clock.elapsed - before <= 0.1 + 1e-9


async def test_the_services_count_lowers_ours() -> None:
    """Somebody else spends from the same bucket."""
    clock = FakeClock()
    bucket = opened(200, 10, clock)
    receipt = await bucket.take()
    bucket.correct(5, receipt)
    await drain(bucket, 5)
    assert clock.elapsed == 0
    await bucket.take()
    assert clock.elapsed == pytest.approx(0.1, abs=0.01)


async def test_the_services_count_never_raises_ours_above_what_we_have_left() -> None:
    """A service that counts by other rules (12,000 an hour) does not lift ARM's own."""
    clock = FakeClock()
    bucket = opened(200, 10, clock)
    await drain(bucket, 199)
    receipt = await bucket.take()
    bucket.heard()
    bucket.correct(11_999, receipt)
    await bucket.take()
    assert clock.elapsed == pytest.approx(0.1, abs=0.01)


@given(st.randoms(use_true_random=False), st.integers(1, 64))
async def test_a_burst_that_is_counted_in_any_order_costs_no_throughput(
    chance: random.Random, in_flight: int
) -> None:
    """Requests overtake each other, so a count may hold later ones already; answers do, too."""
    clock = FakeClock()
    bucket, left = opened(200, 10, clock), 200
    for _ in range(200 // in_flight):
        sent = [await bucket.take() for _ in range(in_flight)]
        chance.shuffle(sent)
        answers = []
        for receipt in sent:
            left -= 1
            answers.append((left, receipt))
        chance.shuffle(answers)
        await clock.sleep(0.05)  # which flows in, and is in no count
        for count, receipt in answers:
            bucket.heard()
            bucket.correct(count, receipt)
    assert clock.elapsed < 0.05 * 200 / in_flight + 0.01
    before = clock.elapsed
    await drain(bucket, left + 50)
    assert clock.elapsed - before <= 5.0


async def test_a_service_that_does_not_count_is_not_held_back() -> None:
    clock = FakeClock()
    bucket = opened(10, 1, clock)
    await drain(bucket, 10)
    bucket.uncounted()
    await drain(bucket, 100)
    assert clock.elapsed == 0


async def test_one_count_is_enough_to_keep_to_the_bucket() -> None:
    clock = FakeClock()
    bucket = opened(10, 1, clock)
    bucket.correct(9, await bucket.take())
    bucket.uncounted()
    await drain(bucket, 11)
    assert clock.elapsed >= 1


async def test_answers_out_of_order_do_not_lose_tokens() -> None:
    """The count in an answer lacks what was sent after its request: that is allowed for."""
    clock = FakeClock()
    bucket = opened(200, 10, clock)
    receipts = [await bucket.take() for _ in range(50)]
    for left, receipt in reversed(list(zip(range(199, 149, -1), receipts, strict=True))):
        bucket.correct(left, receipt)
    await drain(bucket, 150)
    assert clock.elapsed == 0
    await bucket.take()
    assert clock.elapsed > 0


async def test_being_corrected_at_every_answer_does_not_slow_the_refill() -> None:
    """A service that counts like ours, and rounds down, must not cost throughput."""
    clock = FakeClock()
    bucket, served = opened(10, 10, clock), opened(10, 10, clock)
    for _ in range(110):
        receipt = await bucket.take()
        await drain(served, 1)
        bucket.heard()
        bucket.correct(int(served._tokens), receipt)
    assert clock.elapsed == pytest.approx(10.0, rel=0.05)


async def test_a_burst_that_arrives_late_gains_nothing_on_the_way() -> None:
    """A bucket that is still full takes no refill: what flowed in here meanwhile was lost there."""
    clock = FakeClock()
    bucket = opened(200, 10, clock)
    for _ in range(200):
        await bucket.take()
    await clock.sleep(2.0)  # until then none of them arrives
    for _ in range(200):
        bucket.heard()
    before = clock.elapsed
    await bucket.take()
    assert clock.elapsed - before == pytest.approx(0.1, abs=0.01)


async def test_a_closed_bucket_gives_nothing_until_it_opens() -> None:
    clock = FakeClock()
    bucket = opened(250, 25, clock)
    bucket.close(10)
    await bucket.take()
    assert clock.elapsed == pytest.approx(10.0)


async def test_buckets_are_per_subscription_and_kind() -> None:
    budget = Budget(FakeClock())
    one = "https://x/subscriptions/AAA/resourceGroups/g"
    assert budget.bucket("GET", one) is budget.bucket("HEAD", one.lower())
    assert budget.bucket("GET", one) is not budget.bucket("PUT", one)
    assert budget.bucket("PUT", one) is budget.bucket("POST", one)
    assert budget.bucket("DELETE", one) is not budget.bucket("PUT", one)
    assert budget.bucket("GET", one) is not budget.bucket("GET", one.replace("AAA", "BBB"))
    assert budget.bucket("GET", "https://x/subscriptions?a") is budget.bucket("GET", "https://x/p")
    assert budget.bucket("GET", one).capacity == 245
    assert budget.bucket("PUT", one).rate == 10


def test_kinds_and_headers() -> None:
    assert [kind_of(method) for method in ("GET", "POST", "PATCH", "DELETE")] == [
        "reads", "writes", "writes", "deletes"]  # fmt: skip
    assert remaining_in("GET", {"x-ms-ratelimit-remaining-subscription-reads": "11"}) == 11
    assert remaining_in("GET", {"x-ms-ratelimit-remaining-tenant-reads": "12"}) == 12
    assert remaining_in("PUT", {"x-ms-ratelimit-remaining-subscription-reads": "11"}) is None
    assert remaining_in("GET", {"x-ms-ratelimit-remaining-subscription-reads": "lots"}) is None


async def test_the_first_requests_go_alone_until_the_service_was_heard() -> None:
    """An earlier run may have emptied the bucket: a burst would run into 429."""
    clock = FakeClock()
    bucket = Bucket(200, 10, clock)
    tasks = [asyncio.create_task(bucket.take()) for _ in range(50)]
    await asyncio.sleep(0)
    scouts = [task for task in tasks if task.done()]
    assert 1 <= len(scouts) <= 4
    bucket.correct(0, scouts[-1].result())
    bucket.heard()
    await asyncio.gather(*tasks)
    assert clock.elapsed == pytest.approx(4.7, abs=0.4)
