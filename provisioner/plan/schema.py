"""The JSON Schema (2020-12) of `plan.json.document`; published as docs/plan.schema.json.

Written with `make docs`.
"""

from __future__ import annotations

import json
import sys

from provisioner.plan.json import SCHEMA_VERSION, Json
from provisioner.plan.steps import Because, Effect, Until
from provisioner.resources import Kind

_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_FLAG: Json = {"type": "boolean"}
_ACTIONS = ["create", "change", "adopt", "replace", "recover", "delete", "wait"]


def schema() -> Json:
    """The schema as plain data, keys in a fixed order."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A plan of provisioner",
        "description": "What `provision plan -o json` prints. Values that may be secret read "
        '"(hidden)". Readers ignore fields that they do not know.',
        **_object(
            {
                "schemaVersion": {"const": SCHEMA_VERSION},
                "stack": _TEXT,
                "plannedAt": _instant("When the plan was made; deadlines count from it."),
                "summary": _object(
                    {
                        **dict.fromkeys((*_ACTIONS, "unchanged", "refused"), _COUNT),
                        "text": _TEXT,
                    }
                ),
                "steps": _list(
                    {"$ref": "#/$defs/step"}, "In an order in which they can be carried out."
                ),
                "destructive": _list(_TEXT, "Ids of the steps that take away something live."),
                "unchanged": _list({"$ref": "#/$defs/unchanged"}, "What needs nothing, and why."),
                "expiries": _list({"$ref": "#/$defs/expiry"}, "Deadlines of the endpoints."),
                "outputs": _list(
                    _object({"deployment": _TEXT, "sink": _TEXT, "target": _TEXT}),
                    "Where an apply writes URL and key unless they are there already; what is "
                    "there now is not compared. Not counted as changes.",
                ),
                "refusals": _list({"$ref": "#/$defs/problem"}, "Why this plan is not carried out."),
                "notices": _list({"$ref": "#/$defs/problem"}, "Warnings and notes."),
            }
        ),
        "$defs": {
            "step": _step(),
            "change": _change(),
            "traffic": _traffic(),
            "unchanged": _object({**_identity(), "reason": _TEXT, "manifests": _list(_TEXT)}),
            "expiry": _object({**_identity(), "instant": _instant(), "byAzure": _FLAG}),
            "problem": _problem(),
            "position": _position(),
        },
    }


def text() -> str:
    """The schema as it is published."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _object(properties: Json, required: list[str] | None = None) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }


def _list(items: Json, description: str | None = None) -> Json:
    found: Json = {"type": "array", "items": items}
    return found if description is None else {**found, "description": description}


def _instant(description: str = "An instant in UTC.") -> Json:
    return {"type": "string", "format": "date-time", "description": description}


def _nullable(part: Json) -> Json:
    return {"anyOf": [part, {"type": "null"}]}


def _identity() -> Json:
    return {
        "resourceId": {"type": "string", "pattern": "^/subscriptions/"},
        "kind": {"enum": [kind.value for kind in Kind if kind is not Kind.AGREEMENT]},
        "name": _TEXT,
        "endpoint": {
            **_nullable(_TEXT),
            "description": "The online endpoint, for a deployment only.",
        },
        "workspace": _TEXT,
    }


def _step() -> Json:
    common: Json = {
        "id": {**_TEXT, "description": "Stable for one intent."},
        "type": {
            "enum": [
                "subscribe",
                "create",
                "update",
                "replace",
                "setTraffic",
                "rollout",
                "delete",
                "await",
            ]
        },
        "action": {"enum": _ACTIONS},
        **_identity(),
        "title": _TEXT,
        "reason": _TEXT,
        "needs": _list(_TEXT, "Ids of the steps that must be done before."),
        "position": _nullable({"$ref": "#/$defs/position"}),
        "manifests": _list(_TEXT, "metadata.name of the manifests that asked for it."),
        "changes": _list({"$ref": "#/$defs/change"}),
    }
    own: Json = {
        "resource": {"type": "object", "description": "The fields that are set."},
        "fields": _list(_TEXT, "The fields that an update writes."),
        "offer": _nullable(_object({"publisher": _TEXT, "offer": _TEXT, "plan": _TEXT})),
        "terms": _object({"accepted": _FLAG, "by": _nullable(_TEXT)}),
        "traffic": _list({"$ref": "#/$defs/traffic"}, "Percent per deployment, stage by stage."),
        "others": {"$ref": "#/$defs/traffic/properties/after"},
        "bakeSeconds": {"type": "number", "minimum": 0},
        "probe": _FLAG,
        "because": {"enum": [str(one) for one in Because]},
        "until": {"enum": [str(one) for one in Until]},
        "state": _TEXT,
    }
    required: dict[str, list[str]] = {
        "subscribe": ["resource", "offer", "terms"],
        "create": ["resource"],
        "replace": ["resource"],
        "update": ["fields"],
        "setTraffic": ["traffic"],
        "rollout": ["traffic", "others", "bakeSeconds", "probe"],
        "delete": ["because"],
        "await": ["until", "state"],
    }
    return {
        **_object({**common, **own}, required=list(common)),
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}},
                "then": {"required": needed},
            }
            for name, needed in required.items()
        ],
    }


def _change() -> Json:
    return _object(
        {
            "field": {**_TEXT, "description": "As in a manifest: instanceCount, tags.team."},
            "old": _nullable(_TEXT),
            "new": _nullable(_TEXT),
            "effect": {"enum": [str(one) for one in Effect]},
        }
    )


def _traffic() -> Json:
    shares: Json = {
        "type": "object",
        "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 100},
    }
    return _object({"before": shares, "after": shares})


def _problem() -> Json:
    return _object(
        {
            "code": _TEXT,
            "severity": {"enum": ["error", "warning", "note"]},
            "what": _TEXT,
            "hint": _TEXT,
            "who": _TEXT,
            "position": _nullable({"$ref": "#/$defs/position"}),
            "resource": _nullable(_TEXT),
        }
    )


def _position() -> Json:
    return _object(
        {
            "file": _TEXT,
            "line": {"type": "integer", "minimum": 1},
            "column": {"type": "integer", "minimum": 1},
        }
    )


if __name__ == "__main__":
    sys.stdout.write(text())
