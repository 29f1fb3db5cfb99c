"""Faults on purpose: which call of which operation goes wrong, and how.

An operation has a name such as `serverlessEndpoints.put`, `onlineDeployments.get`,
`agreements.sign` or `operations.status`; one that is known by its operationId
(`ModelVersions_Get`) goes by the short form as well. A fault's `operation` is a glob over the
names, and its `path` one over the request's path. Each fault counts the calls that it matches and
strikes on the n-th, on every k-th, at a rate, or on all of them, at most `times` often.
The rate is a function of the seed and the count, so a run can be repeated. Everything here is pure:
`decide` takes the counters and returns new ones.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from provisioner.emulator.refusals import Refusal
from provisioner.emulator.scenario_yaml import Instant, Seconds, duration
from provisioner.emulator.throttle import provider_refusal

When = Literal["before", "after"]
_SHORT_VERBS = {"CreateOrUpdate": "put", "Create": "put", "Update": "patch"}
_SHORT_GROUPS = {"MarketplaceAgreements": "agreements"}
_GATEWAY_TITLES = {502: "502 Bad Gateway", 503: "503 Service Temporarily Unavailable"}
_CODES = {
    400: ("BadRequest", "The request is invalid."),
    404: ("ResourceNotFound", "The resource was not found."),
    409: ("Conflict", "Another operation is in progress on the selected item."),
    429: ("TooManyRequests", "Too many requests."),
    500: ("InternalServerError", "Encountered internal server error."),
    502: (
        "BadGatewayConnection",
        "The network connectivity issue encountered for 'Microsoft.MachineLearningServices'; "
        "cannot fulfill the request.",
    ),
    503: ("ServiceUnavailable", "The service is unavailable now, please try again later."),
    504: ("GatewayTimeout", "The gateway did not receive a response within the time limit."),
}


@lru_cache(maxsize=1024)
def names_of(operation: str) -> tuple[str, ...]:
    """An operation's names: as given, and the short form of an operationId."""
    group, _, verb = operation.partition("_")
    if not verb:
        return (operation,)
    short = _SHORT_GROUPS.get(group, group[:1].lower() + group[1:])
    return operation, f"{short}.{_SHORT_VERBS.get(verb, verb[:1].lower() + verb[1:])}"


def _chance(key: str) -> float:
    """A number in [0, 1) that is fixed by its key, on every Python and in every process."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _fits(text: str, glob: str) -> bool:
    return fnmatch.fnmatchcase(text.lower(), glob.lower())


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with this status instead of acting; `html`: as a gateway does (AZURE.md §17)."""

    status: int = 500
    code: str | None = None
    message: str | None = None
    html: bool = False
    retry_after: Seconds | None = None

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:
            raise ValueError(f"status {self.status} is no error; it must be 400 to 599")

    def refusal(self) -> Refusal:
        """The error to dress in an envelope; without `code` the usual one of the status."""
        code, message = _CODES.get(self.status, ("InternalServerError", "The request failed."))
        wait = None if self.retry_after is None else max(1, round(self.retry_after))
        return Refusal(self.status, self.code or code, self.message or message, retry_after=wait)

    def page(self) -> str:
        """The HTML body that a gateway sends instead of JSON."""
        title = _GATEWAY_TITLES.get(self.status, f"{self.status} Gateway Error")
        if self.status == 504:
            title = "504 Gateway Time-out"
        return (
            f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
            f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n"
            "</body>\r\n</html>\r\n"
        )


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection without an answer: before acting, or after (AZURE.md §19)."""

    when: When = "before"

    @classmethod
    def from_text(cls, text: str) -> Drop:
        """`drop: before` or `drop: after`."""
        if text not in ("before", "after"):
            raise ValueError(f"'{text}' is not one of before, after")
        return cls("after" if text == "after" else "before")


@dataclass(frozen=True, slots=True)
class Delay:
    """Answer as usual, but this many seconds of real time later."""

    seconds: Seconds

    @classmethod
    def from_text(cls, text: str) -> Delay:
        """`delay: 5s`."""
        return cls(duration(text))


@dataclass(frozen=True, slots=True)
class Logs:
    """What the containers of a failed deployment say (AZURE.md §16)."""

    storage_initializer: str = ""
    inference_server: str = ""

    def of(self, container: str) -> str:
        """The text for a ContainerType; the inference server's when it is another."""
        return (
            self.storage_initializer
            if container.lower() == "storageinitializer"
            else self.inference_server
        )


@dataclass(frozen=True, slots=True)
class FailDeployment:
    """Accept the create or update, then let the resource end as Failed, with these logs."""

    code: str = "ResourceNotReady"
    message: str = "User container has crashed or terminated."
    logs: Logs = Logs(
        "Model download finished.", "Worker exited before it answered the liveness probe."
    )


@dataclass(frozen=True, slots=True)
class ThrottleCall:
    """Answer 429; without `retryAfter` as the machine learning provider does, in the text only."""

    retry_after: Seconds | None = None

    def refusal(self) -> Refusal:
        """ARM's shape with the header, or the provider's without it."""
        if self.retry_after is None:
            return provider_refusal()
        wait = max(1, round(self.retry_after))
        return Refusal(
            429,
            "TooManyRequests",
            f"The request is being throttled. Please try again after '{wait}' seconds.",
            retry_after=wait,
        )


Effect = Fail | Drop | Delay | FailDeployment | ThrottleCall


@dataclass(frozen=True, slots=True)
class Fault:
    """When to strike and, as exactly one of the last five fields, how."""

    operation: str = "*"
    path: str = "*"
    call: int | None = None
    every: int | None = None
    rate: float | None = None
    seed: int = 0
    times: int | None = None
    start: Instant | None = None
    end: Instant | None = None
    fail: Fail | None = None
    drop: Drop | None = None
    delay: Delay | None = None
    fail_deployment: FailDeployment | None = None
    throttle: ThrottleCall | None = None

    def __post_init__(self) -> None:
        if len(self._effects()) != 1:
            raise ValueError(
                "a fault has exactly one of fail, drop, delay, failDeployment, throttle"
            )
        if sum(each is not None for each in (self.call, self.every, self.rate)) > 1:
            raise ValueError("a fault has at most one of call, every, rate")
        for name, value in (("call", self.call), ("every", self.every), ("times", self.times)):
            if value is not None and value < 1:
                raise ValueError(f"{name} counts from 1, {value} is too small")
        if self.rate is not None and not 0 <= self.rate <= 1:
            raise ValueError(f"rate is between 0 and 1, not {self.rate}")

    def _effects(self) -> list[Effect]:
        every = (self.fail, self.drop, self.delay, self.fail_deployment, self.throttle)
        return [each for each in every if each is not None]

    @property
    def effect(self) -> Effect:
        """The one effect."""
        return self._effects()[0]

    def concerns(self, operation: str, path: str, now: float) -> bool:
        """Whether a call counts for this fault at all."""
        return (
            any(_fits(name, self.operation) for name in names_of(operation))
            and _fits(path, self.path)
            and (self.start is None or now >= self.start)
            and (self.end is None or now < self.end)
        )

    def strikes(self, count: int, struck: int) -> bool:
        """Whether the count-th matching call (from 1) is hit, after `struck` hits before it."""
        if self.times is not None and struck >= self.times:
            return False
        if self.call is not None:
            return count == self.call
        if self.every is not None:
            return count % self.every == 0
        if self.rate is not None:
            return _chance(f"{self.seed}:{self.operation}:{count}") < self.rate
        return True


@dataclass(frozen=True, slots=True)
class Counters:
    """Per fault (by its place in the list): calls matched and times struck."""

    matched: Mapping[int, int] = field(default_factory=dict)
    struck: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FaultState:
    """The faults in force with their counters."""

    faults: tuple[Fault, ...] = ()
    counters: Counters = Counters()

    def adding(self, *faults: Fault) -> FaultState:
        """The same with more faults at the end; the counters of the others go on."""
        return FaultState((*self.faults, *faults), self.counters)


def decide(
    state: FaultState, operation: str, now: float, path: str = ""
) -> tuple[Effect | None, FaultState]:
    """What happens to this call, and the state after it.

    Every fault counts the calls that it matches; of those that would strike, the first in the list
    does, and only it spends one of its `times`.
    """
    if not state.faults:
        return None, state
    matched = dict(state.counters.matched)
    struck = dict(state.counters.struck)
    effect: Effect | None = None
    for index, fault in enumerate(state.faults):
        if not fault.concerns(operation, path, now):
            continue
        matched[index] = matched.get(index, 0) + 1
        if effect is None and fault.strikes(matched[index], struck.get(index, 0)):
            struck[index] = struck.get(index, 0) + 1
            effect = fault.effect
    return effect, FaultState(state.faults, Counters(matched, struck))
