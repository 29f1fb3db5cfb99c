"""What a resource looks like when it is shown: the switches that change answers, not behaviour."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

from tests.otherarm.store import Doc
from tests.otherarm.switches import Switches

_NULLABLE: Final = {
    "serverlessendpoints": ("contentSafety", "inferenceEndpoint", "marketplaceSubscriptionId"),
    "marketplacesubscriptions": ("marketplacePlan",),
    "onlineendpoints": ("compute", "mirrorTraffic", "traffic", "description", "keys", "properties",
                        "scoringUri", "swaggerUri"),
    "deployments": ("dataCollector", "livenessProbe", "modelMountPath", "readinessProbe",
                    "requestSettings", "scaleSettings", "codeConfiguration", "description",
                    "environmentId", "environmentVariables", "properties"),
}  # fmt: skip
"""x-nullable properties of the specification (stable 2024-10-01)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A PUT: where, of which kind (lower-cased collection), and its body."""

    path: str
    kind: str
    body: Doc


class Shaper:
    """From a PUT's body to what is stored, and from there to what is shown."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches

    def stored(self, wish: Wish, state: str, before: Doc | None = None, after: float = 0.0) -> Doc:
        """`after`: seconds since it has Succeeded, for what the service learns late."""
        name = wish.path.rpartition("/")[2]
        doc = copy.deepcopy(wish.body)
        doc |= {"id": wish.path, "name": name,
                "type": f"Microsoft.MachineLearningServices/workspaces/{wish.kind}",
                "systemData": {"createdAt": "2026-11-22T10:00:00.1234567+00:00"}}  # fmt: skip
        properties: Doc = doc.setdefault("properties", {})
        properties["provisioningState"] = state
        ready = state == "Succeeded" or before is not None
        match wish.kind:
            case "serverlessendpoints":
                properties["endpointState"] = "Online" if ready else "Creating"
                if ready:
                    properties["inferenceEndpoint"] = {
                        "uri": f"https://{name}.eastus2.models.ai.azure.com", "headers": {}
                    }  # fmt: skip
            case "marketplacesubscriptions":
                self._subscription(properties, state, after)
            case "onlineendpoints":
                doc["kind"] = "Managed"
                doc["identity"] = {"type": "SystemAssigned", "principalId": "p", "tenantId": "t"}
                if ready:
                    host = f"https://{name}.eastus2.inference.ml.azure.com"
                    properties |= {"scoringUri": f"{host}/score",
                                   "swaggerUri": f"{host}/swagger.json"}  # fmt: skip
        return doc

    def _subscription(self, properties: Doc, state: str, after: float) -> None:
        model = properties["modelId"].split("/models/")[1].split("/")[0].lower()
        pending = state != "Succeeded" or after < self._switches.pending
        late = state != "Succeeded" or after < self._switches.plan_late
        properties["marketplaceSubscriptionStatus"] = (
            "PendingFulfillmentStart" if pending else "Subscribed"
        )
        properties["marketplacePlan"] = None if late else {
            "publisherId": "metagenai", "offerId": f"{model}-offer", "planId": f"{model}-plan"
        }  # fmt: skip

    def shown(self, doc: Doc) -> Doc:
        """As this ARM words it."""
        switches, kind = self._switches, doc["type"].rpartition("/")[2]
        properties: Doc = doc["properties"]
        word = switches.states.get(properties["provisioningState"], properties["provisioningState"])
        properties["provisioningState"] = word
        if word is None:
            del properties["provisioningState"]
        if switches.nulls:
            for name in _NULLABLE[kind]:
                properties.setdefault(name, None)
            doc |= {one: doc.get(one) for one in ("identity", "kind", "sku", "systemData")}
        if switches.tags_null and not doc.get("tags"):
            doc["tags"] = None
        if switches.shout_traffic and properties.get("traffic"):
            properties["traffic"] = {key.upper(): n for key, n in properties["traffic"].items()}
        if switches.model_suffix:
            self._suffixed(properties)
        if switches.extras:
            doc |= {"etag": 'W/"1"', "kind": doc.get("kind", "Future"), "zones": ["1"],
                    "futureTop": {"a": None}}  # fmt: skip
            properties |= {"futureThing": [1, {"deep": None}], "createdBy": None}
        doc["id"] = self._id(doc["id"])
        return doc

    def _suffixed(self, properties: Doc) -> None:
        suffix = self._switches.model_suffix
        holder = properties.get("modelSettings", properties)
        if "modelId" in holder:
            holder["modelId"] += suffix

    def _id(self, id: str) -> str:
        match self._switches.id_case:
            case "lower":
                return id.lower()
            case "resourcegroups":
                return id.replace("resourceGroups", "resourcegroups")
        return id

    def workspace(self, path: str, region: str) -> Doc:
        properties: Doc = {"provisioningState": "Succeeded", "workspaceId": "w", "etag": "x"}
        if self._switches.nulls:
            properties |= {"managedNetwork": None, "discoveryUrl": None}
        return {"id": self._id(path), "name": "mlw-prod", "location": region, "kind": "Default",
                "type": "Microsoft.MachineLearningServices/workspaces",
                "properties": properties,
                "tags": None if self._switches.tags_null else {}}  # fmt: skip

    def usages(self, subscription: str, region: str) -> list[Any]:
        """Keyed as in the published examples: a name of many words, the family in the id."""
        base = (f"/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices"
                f"/locations/{region}/usages")  # fmt: skip
        return [
            {"id": f"{base}/standardNCADSA100v4Family", "unit": "Count", "currentValue": 0,
             "type": "Microsoft.MachineLearningServices/usages", "limit": 200,
             "name": {"value": "Standard NCADSA100v4 Family Cluster Dedicated vCPUs",
                      "localizedValue": "Standard NCADSA100v4 Family Cluster Dedicated vCPUs"}},
            {"id": f"{base}/TotalCores", "unit": "Count", "currentValue": 0, "limit": -1,
             "name": {"value": "Total Cluster Dedicated Regional vCPUs", "localizedValue": None}},
        ]  # fmt: skip

    def sizes(self) -> list[Any]:
        return [{"name": "Standard_NC24ads_A100_v4", "family": "standardNCADSA100v4Family",
                 "vCPUs": 24, "gpus": 1, "memoryGB": 220.0, "lowPriorityCapable": False,
                 "supportedComputeTypes": None, "estimatedVMPrices": None}]  # fmt: skip
