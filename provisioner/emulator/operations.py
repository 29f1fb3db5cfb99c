"""Long-running operations, computed from the clock rather than by timers.

An operation is begun with the instant at which it will be over. `settle(now)` applies, in order,
everything that is over by `now`; the pipeline calls it before each request, so a restart or a
moved clock needs no special case. Besides operations the engine keeps deadlines: shared-quota
endpoints are deleted at their TargetAutoDeletionTime.

While anything runs on an online endpoint or one of its deployments, other writes to that tree get
409 (AZURE.md §16: "Another operation … is already running"); a scope of its own for anything else.
"""

from __future__ import annotations

import heapq
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from provisioner.emulator.clock import iso
from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.store import Operation, Resource, Store
from provisioner.emulator.wire import NULL, Call, Reply

_RUNNING = {"create": "Creating", "update": "Updating", "delete": "Deleting"}
_STATUS = {"create": "Creating", "update": "Updating", "delete": "Deleting"}
_PREFIX = {
    "onlineEndpoints": "oe",
    "deployments": "od",
    "serverlessEndpoints": "se",
    "marketplaceSubscriptions": "ms",
    "workspaces": "ws",
}
KEEP_FINISHED = 86_400.0  # seconds for which a finished operation can still be asked for

Ended = Callable[[Resource, Operation, float], None]


@dataclass(frozen=True, slots=True)
class Work:
    """What an operation does and how long it takes; `failure` is the error it will end with."""

    verb: str
    seconds: float
    failure: JsonObject | None = None
    result: object = None


class Engine:
    """Runs operations over the store."""

    def __init__(self, store: Store, *, seed: int = 0) -> None:
        self.store = store
        self.busy: dict[str, str] = {}
        self.on_end: list[Ended] = []
        self.on_deadline: Callable[[Resource, float], None] | None = None
        self.random = random.Random(seed)  # noqa: S311 - jitter of durations, nothing secret
        self._queue: list[tuple[float, int, str, str]] = []
        self._count = 0
        self._finished: list[tuple[float, str]] = []
        for operation in store.operations():
            self._track(operation)
        for resource in store.all():
            deadline = resource.facts.get("deadline")
            if deadline is not None:
                self.watch_deadline(resource.key, float(deadline))

    def begin(self, call: Call, resource: Resource, work: Work) -> Operation:
        """Start an operation on a resource; its state becomes the running one at once."""
        scope = busy_scope(resource)
        operation = Operation(
            id=f"{_PREFIX.get(resource.kind, 'op')}:{workspace_guid(resource)}:{self._guid()}",
            verb=work.verb,
            target=resource.key,
            scope=scope,
            subscription=resource.subscription,
            location=resource.location,
            api_version=call.query.get("api-version", ""),
            started=call.now,
            due=call.now + work.seconds,
            failure=work.failure,
            result=work.result,
        )
        resource.pending = operation.id
        resource.state = _RUNNING.get(work.verb, resource.state)
        self.store.put(resource)
        self.store.put_operation(operation)
        self._track(operation)
        return operation

    def refuse_if_busy(self, resource_id: str, kind: str) -> None:
        """Raise the provider's 409 when an operation runs on the resource's tree."""
        running = self.busy.get(_scope_of(resource_id, kind))
        if running is None:
            return
        operation = self.store.operation(running)
        target = self.store.get(operation.target) if operation is not None else None
        where = target.id if target is not None else resource_id
        raise ArmError(
            409,
            "Conflict",
            f"Another operation with ID [{running}] is already running on {where}. "
            "Wait for it to finish and try again.",
            inner=("AnotherOperationInProgress",),
        )

    def forget(self) -> None:
        """Drop all that is under way, together with the store that was cleared."""
        self.busy.clear()
        self._queue.clear()
        self._finished.clear()

    def watch_deadline(self, key: str, when: float) -> None:
        """Have `on_deadline` called for the resource once the clock has passed `when`."""
        self._push(when, "deadline", key)

    def settle(self, now: float) -> None:
        """Apply all that is over by `now`, in the order in which it ended."""
        while self._queue and self._queue[0][0] <= now:
            when, _, kind, key = heapq.heappop(self._queue)
            if kind == "operation":
                self._end(key, when)
            else:
                self._deadline(key, when)
        while self._finished and self._finished[0][0] + KEEP_FINISHED < now:
            operation = self.store.operation(heapq.heappop(self._finished)[1])
            if operation is not None:
                self.store.drop_operation(operation)

    @property
    def in_flight(self) -> int:
        return len(self.busy)

    def _end(self, key: str, when: float) -> None:
        operation = self.store.operation(key)
        if operation is None or operation.done:
            return
        operation.done = True
        self.store.put_operation(operation)
        heapq.heappush(self._finished, (when, operation.id))
        if self.busy.get(operation.scope) == operation.id:
            del self.busy[operation.scope]
        resource = self.store.get(operation.target)
        if resource is None or resource.pending != operation.id:
            return
        resource.pending = ""
        if operation.failure is not None:
            resource.state = "Failed"
        elif operation.verb in ("create", "update"):
            resource.state = "Succeeded"
        if operation.verb == "delete" and operation.failure is None:
            self.store.remove(resource)
        else:
            self.store.put(resource)
        for ended in self.on_end:
            ended(resource, operation, when)

    def _deadline(self, key: str, when: float) -> None:
        resource = self.store.get(key)
        if resource is not None and self.on_deadline is not None:
            self.on_deadline(resource, when)

    def _track(self, operation: Operation) -> None:
        if operation.done:
            heapq.heappush(self._finished, (operation.due, operation.id))
            return
        self.busy[operation.scope] = operation.id
        self._push(operation.due, "operation", operation.id)

    def _push(self, when: float, kind: str, key: str) -> None:
        self._count += 1
        heapq.heappush(self._queue, (when, self._count, kind, key))

    def _guid(self) -> str:
        return str(uuid.uuid4())


def busy_scope(resource: Resource) -> str:
    """The key under which only one operation may run: an online endpoint with its deployments."""
    return resource.parent.lower() if resource.kind == "deployments" else resource.key


def _scope_of(resource_id: str, kind: str) -> str:
    if kind == "deployments":
        return resource_id.lower().rsplit("/deployments/", 1)[0]
    return resource_id.lower()


def workspace_guid(resource: Resource) -> str:
    """The workspace's immutable id, derived from its place so that it never changes."""
    return str(
        uuid.uuid5(
            uuid.NAMESPACE_URL,
            resource.id.lower().split("/workspaces/", 1)[0] + "/" + resource.workspace.lower(),
        )
    )


def status_path(operation: Operation) -> str:
    return _path(operation, "mfeOperationsStatus")


def result_path(operation: Operation) -> str:
    return _path(operation, "mfeOperationResults")


def _path(operation: Operation, collection: str) -> str:
    return (
        f"/subscriptions/{operation.subscription}/providers/Microsoft.MachineLearningServices"
        f"/locations/{operation.location}/{collection}/{operation.id}"
    )


def created(call: Call, operation: Operation, body: JsonObject, *, status: int = 201) -> Reply:
    """The answer to a PUT that has begun: Azure-AsyncOperation, and the resource as it is now."""
    headers = {
        "Azure-AsyncOperation": call.link(status_path(operation)),
        "Location": call.link(body["id"]),
        "x-ms-async-operation-timeout": "PT30M",
    }
    return Reply(status, body, {**headers, **retry_after(call)})


def accepted(call: Call, operation: Operation, *, body: object = NULL) -> Reply:
    """The answer to a PATCH, DELETE or POST that has begun: 202 with a Location to ask."""
    headers = {
        "Location": call.link(result_path(operation)),
        "Azure-AsyncOperation": call.link(status_path(operation)),
        "x-ms-async-operation-timeout": "PT30M",
    }
    return Reply(202, body, {**headers, **retry_after(call)})


def retry_after(call: Call) -> dict[str, str]:
    """`Retry-After: 1` unless the scenario wants the provider's recorded silence (AZURE.md §17)."""
    return {"Retry-After": "1"} if call.tenant.scenario.behaviour.retry_after else {}


def _found(call: Call) -> Operation:
    operation = call.tenant.store.operation(call.params["operationId"])
    if operation is None or operation.subscription != call.params["subscriptionId"].lower():
        raise ArmError(
            404,
            "NotFound",
            f"The operation '{call.params['operationId']}' was not found.",
        )
    return operation


def get_status(call: Call) -> Reply:
    """The body behind Azure-AsyncOperation, as recorded: id, name, status, times, percent."""
    operation = _found(call)
    body: JsonObject = {
        "id": status_path(operation),
        "name": operation.id,
        "startTime": iso(operation.started),
    }
    if operation.done:
        body["endTime"] = iso(operation.due)
        body["percentComplete"] = 100.0
        body["status"] = "Failed" if operation.failure else "Succeeded"
        if operation.failure:
            body["error"] = operation.failure
        return Reply(200, body)
    body["percentComplete"] = 0.0
    body["status"] = _STATUS.get(operation.verb, "InProgress")
    return Reply(200, body, retry_after(call))


def get_result(call: Call) -> Reply:
    """The answer behind Location: 202 while running, then 204 or 200 with the result."""
    operation = _found(call)
    if not operation.done:
        return accepted(call, operation)
    if operation.failure is not None:
        code = str(operation.failure.get("code", "InternalServerError"))
        raise ArmError(400, code, str(operation.failure.get("message", "")))
    if operation.result is not None:
        return Reply(200, operation.result)
    if operation.verb in ("delete", "regenerate"):
        return Reply(204 if operation.verb == "delete" else 200)
    resource = call.tenant.store.get(operation.target)
    if resource is None:
        return Reply(204)
    return Reply(200, call.tenant.render(resource, call))
