"""Faults strike on the calls that were asked for, and on no others."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.emulator.faults import (
    Delay,
    Drop,
    Effect,
    Fail,
    FailDeployment,
    Fault,
    FaultState,
    Logs,
    ThrottleCall,
    decide,
    names_of,
)
from tests.shared import shared_dir

PUT = "ServerlessEndpoints_CreateOrUpdate"
BOOM = Fail(500)


def run(state: FaultState, operations: list[str], path: str = "") -> list[Effect | None]:
    effects = []
    for operation in operations:
        effect, state = decide(state, operation, 0.0, path)
        effects.append(effect)
    return effects


def hits(fault: Fault, calls: int) -> list[int]:
    effects = run(FaultState((fault,)), [PUT] * calls)
    return [index for index, effect in enumerate(effects, 1) if effect is not None]


def test_the_nth_call_only() -> None:
    assert hits(Fault(call=3, fail=BOOM), 10) == [3]


def test_every_kth_call_at_most_so_often() -> None:
    assert hits(Fault(every=3, fail=BOOM), 10) == [3, 6, 9]
    assert hits(Fault(every=3, times=2, fail=BOOM), 10) == [3, 6]


def test_without_a_condition_always_until_the_times_are_used_up() -> None:
    assert hits(Fault(fail=BOOM), 4) == [1, 2, 3, 4]
    assert hits(Fault(fail=BOOM, times=2), 4) == [1, 2]


@given(st.floats(0, 1), st.integers(0, 1000))
def test_a_rate_repeats_with_its_seed(rate: float, seed: int) -> None:
    fault = Fault(rate=rate, seed=seed, fail=BOOM)
    assert hits(fault, 50) == hits(fault, 50)


def test_a_rate_comes_out_near_itself_and_differs_by_seed() -> None:
    struck = hits(Fault(rate=0.05, seed=1, fail=BOOM), 4000)
    assert 140 < len(struck) < 260
    assert struck != hits(Fault(rate=0.05, seed=2, fail=BOOM), 4000)
    assert hits(Fault(rate=0.0, fail=BOOM), 100) == []
    assert len(hits(Fault(rate=1.0, fail=BOOM), 100)) == 100


@given(
    st.lists(
        st.builds(
            Fault,
            operation=st.sampled_from(["*", "a.*", "b.get"]),
            call=st.none() | st.integers(1, 4),
            times=st.none() | st.integers(1, 2),
            fail=st.just(BOOM),
        ),
        max_size=4,
    ),
    st.lists(st.sampled_from(["a.put", "b.get", "c.get"]), max_size=30),
)
def test_counters_add_up(faults: list[Fault], operations: list[str]) -> None:
    state = FaultState(tuple(faults))
    before = state
    struck = 0
    for operation in operations:
        effect, state = decide(state, operation, 0.0)
        struck += effect is not None
    assert sum(state.counters.struck.values()) == struck
    for index, fault in enumerate(faults):
        matched = sum(fault.concerns(operation, "", 0.0) for operation in operations)
        assert state.counters.matched.get(index, 0) == matched
        assert fault.times is None or state.counters.struck.get(index, 0) <= fault.times
    assert before == FaultState(tuple(faults)), "deciding must not change what it was given"


@pytest.mark.parametrize(
    ("operation", "glob", "expected"),
    [
        (PUT, "serverlessEndpoints.put", True),
        (PUT, "ServerlessEndpoints_*", True),
        (PUT, "*.put", True),
        (PUT, "serverlessEndpoints.get", False),
        ("OnlineDeployments_Update", "onlineDeployments.patch", True),
        ("MarketplaceAgreements_Sign", "agreements.sign", True),
        ("ServerlessEndpoints_ListKeys", "serverlessEndpoints.listKeys", True),
        ("operations.status", "operations.*", True),
    ],
)
def test_names_and_globs(operation: str, glob: str, expected: bool) -> None:
    assert Fault(operation=glob, fail=BOOM).concerns(operation, "", 0.0) is expected


def test_short_names() -> None:
    assert names_of("OnlineEndpoints_Get") == ("OnlineEndpoints_Get", "onlineEndpoints.get")
    assert names_of("operations.status") == ("operations.status",)


def test_the_path_narrows_a_fault() -> None:
    state = FaultState((Fault(path="*/serverlessEndpoints/llama*", fail=BOOM),))
    assert run(state, [PUT], "/x/serverlessendpoints/Llama-33") == [BOOM]
    assert run(state, [PUT], "/x/serverlessEndpoints/phi") == [None]


def test_a_window_of_time() -> None:
    fault = Fault(fail=BOOM, start=10.0, end=20.0)
    assert [decide(FaultState((fault,)), PUT, now)[0] for now in (9.9, 10, 19.9, 20)] == [
        None,
        BOOM,
        BOOM,
        None,
    ]


def test_the_first_in_the_list_wins_and_the_other_keeps_its_times() -> None:
    state = FaultState((Fault(call=1, fail=BOOM), Fault(times=1, drop=Drop("after"))))
    assert run(state, [PUT, PUT, PUT]) == [BOOM, Drop("after"), None]


def test_added_faults_start_from_nought_and_the_others_go_on() -> None:
    _, state = decide(FaultState((Fault(call=2, fail=BOOM),)), PUT, 0.0)
    state = state.adding(Fault(call=1, delay=Delay(5.0)))
    effect, state = decide(state, PUT, 0.0)
    assert effect == BOOM
    assert state.counters.matched == {0: 2, 1: 1}


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"fail": BOOM, "drop": Drop()},
        {"fail": BOOM, "call": 1, "every": 2},
        {"fail": BOOM, "call": 0},
        {"fail": BOOM, "times": 0},
        {"fail": BOOM, "rate": 1.5},
    ],
)
def test_contradictions_are_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"fault|counts|rate"):
        Fault(**broken)  # type: ignore[arg-type]


def test_only_errors_can_be_made_up() -> None:
    with pytest.raises(ValueError, match="200 is no error"):
        Fail(200)


@pytest.mark.parametrize(("name", "status"), [("502_aeb19f_0000", 502), ("504_b01979_0007", 504)])
def test_gateway_pages_are_the_recorded_ones(name: str, status: int) -> None:
    recorded = json.loads((shared_dir("recordings", "ml-errors") / f"{name}.json").read_text())
    assert Fail(status, html=True).page() == "".join(recorded["liveResponse"]["body"])


def test_the_502_of_arm_is_the_recorded_one() -> None:
    path = shared_dir("recordings", "ml-errors") / "502_73a3fd_0006.json"
    error = json.loads(path.read_text())["liveResponse"]["body"]["error"]
    said = Fail(502).refusal()
    assert (said.status, said.code, said.message) == (502, error["code"], error["message"])


def test_a_failure_says_what_it_was_told_to() -> None:
    said = Fail(409, "Conflict", "Busy.", retry_after=0.2).refusal()
    assert (said.code, said.message, said.retry_after) == ("Conflict", "Busy.", 1)


def test_a_throttled_call_with_and_without_a_header() -> None:
    assert ThrottleCall(7.0).refusal().retry_after == 7
    assert ThrottleCall().refusal().retry_after is None
    assert "Retry again after 20 seconds." in ThrottleCall().refusal().message


def test_logs_by_container() -> None:
    failed = FailDeployment(logs=Logs("downloading", "crashed"))
    assert failed.logs.of("StorageInitializer") == "downloading"
    assert failed.logs.of("InferenceServer") == "crashed"
