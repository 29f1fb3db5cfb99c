"""Microsoft's model registries: discovery, the data plane that azure-ai-ml reads, and ARM.

Three doors to the same models (AZURE.md §7):

- `registrymanagement/v1.0/registries/{r}/discovery` says where a registry's data plane is;
- `mferp/managementfrontend/subscriptions/…/registries/{r}/models…` is that data plane, at
  2021-10-01-dataplanepreview; ids there are `azureml://registries/…`;
- the ARM twin, from 2023-04-01-preview on, where ids are ARM's.

The registries live in a subscription and resource group of Microsoft's, so no role of the tenant
is needed to read them. Writing to a registry is not emulated.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable

from provisioner.emulator.errors import ArmError, JsonObject, bad_argument
from provisioner.emulator.models import Lifecycle, Model, Registry, load_registries
from provisioner.emulator.routing import GROUP, ML, SUBSCRIPTION, Audience, Route
from provisioner.emulator.wire import Call, Reply

REGISTRY_SUBSCRIPTION = "5f08d643-1910-4a38-a7c7-84a39d4f42e0"
"""Where the emulator keeps the registries; a number of its own making."""

DATA_PLANE = ("2021-10-01-dataplanepreview",)
ARM_MODELS = (
    "2023-04-01-preview",
    "2023-08-01-preview",
    "2024-01-01-preview",
    "2024-10-01",
)
ARM_REGISTRIES = ("2022-10-01-preview", *ARM_MODELS)

_MFE = "/mferp/managementfrontend"
_DATA_PLANE_TYPE = "registries"
_PAGE = 100
_SYSTEM_ACCOUNT = "Microsoft"

Shape = Callable[[Call, Model, str], JsonObject]


def routes() -> tuple[Route, ...]:
    """Every operation on registries that the emulator serves."""
    one = f"{GROUP}/{ML}/registries/{{registryName}}"
    return (
        Route(
            "GET",
            "/registrymanagement/v1.0/registries/{registryName}/discovery",
            discovery,
            "RegistryManagementNonWorkspace_RegistryManagementNonWorkspace",
            audience="ml",
        ),
        Route("GET", one, get_registry, "Registries_Get", ARM_REGISTRIES),
        Route(
            "GET", f"{GROUP}/{ML}/registries", list_registries, "Registries_List", ARM_REGISTRIES
        ),
        Route(
            "GET",
            f"{SUBSCRIPTION}/{ML}/registries",
            list_registries,
            "Registries_ListBySubscription",
            ARM_REGISTRIES,
        ),
        *_model_routes(_MFE + one, DATA_PLANE, "", "ml"),
        *_model_routes(one, ARM_MODELS, "Registry", "arm"),
    )


def discovery(call: Call) -> Reply:
    """Where a registry's data plane is; the URI ends in a slash, as clients append to it."""
    registry = _registry(call)
    host = call.base_url.split("://", 1)[-1]
    return Reply(
        200,
        {
            "registryName": registry.name,
            "tenantId": call.tenant.scenario.tenant_id,
            "primaryRegion": registry.location,
            "regions": [registry.location],
            "subscriptionId": REGISTRY_SUBSCRIPTION,
            "resourceGroup": resource_group(registry),
            "workspaceName": None,
            "primaryRegionResourceProviderUri": f"{call.base_url}/",
            "registryFqdns": {registry.location: {"uri": host, "cert": host}},
        },
    )


def get_registry(call: Call) -> Reply:
    """One registry, as ARM shows it. Raises 404 outside its own resource group."""
    registry = _registry(call)
    if not _owns(call, registry):
        raise _absent(call)
    return Reply(200, _registry_body(call, registry))


def list_registries(call: Call) -> Reply:
    """The registries of a subscription or resource group: Microsoft's are in Microsoft's."""
    if call.params["subscriptionId"].lower() != REGISTRY_SUBSCRIPTION:
        call.tenant.subscription(call.params["subscriptionId"])  # 404 for one that is not there
    found = [r for r in load_registries().values() if _owns(call, r)]
    return Reply(200, {"value": [_registry_body(call, registry) for registry in found]})


def resource_group(registry: Registry) -> str:
    """The resource group that holds a registry."""
    return f"rg-{registry.name}"


# -- models --------------------------------------------------------------------------------


def _model_routes(
    base: str, versions: tuple[str, ...], prefix: str, audience: Audience
) -> Iterable[Route]:
    table = (
        ("", list_models, f"{prefix}ModelContainers_List"),
        ("/{modelName}", get_model, f"{prefix}ModelContainers_Get"),
        ("/{modelName}/versions", list_versions, f"{prefix}ModelVersions_List"),
        ("/{modelName}/versions/{version}", get_version, f"{prefix}ModelVersions_Get"),
    )
    for tail, handler, operation in table:
        path = f"{base}/models{tail}"
        yield Route("GET", path, handler, operation, versions, audience=audience)


def list_models(call: Call) -> Reply:
    """The containers of a registry by name. None is archived: that view is empty."""
    registry = _owned_registry(call)
    models = [m for m in call.tenant.models.values() if m.registry.lower() == registry.name.lower()]
    if _view(call) == "archivedonly":
        models = []
    models.sort(key=lambda model: model.name.lower())
    return _page(call, [(model, model.latest) for model in models], _container)


def get_model(call: Call) -> Reply:
    """A container: the name that all versions share."""
    model = _model(call)
    return Reply(200, _container(call, model, model.latest))


def list_versions(call: Call) -> Reply:
    """The versions of a model, newest first unless `$orderBy` says otherwise."""
    model = _model(call)
    order = call.query.get("$orderby", "createdtime desc").lower().split()
    if order[:1] not in (["createdtime"], ["modifiedtime"], ["createdat"], ["updatedat"]):
        raise bad_argument(f"$orderBy '{call.query.get('$orderby')}' is not supported.")
    versions = list(model.versions)
    if order[1:] == ["desc"]:
        versions.reverse()
    if call.query.get("version"):
        versions = [version for version in versions if version == call.query["version"]]
    if _view(call) == "archivedonly":
        versions = []
    return _page(call, [(model, version) for version in versions], _version)


def get_version(call: Call) -> Reply:
    """One version of a model."""
    model = _model(call)
    version = call.params["version"]
    if version not in model.versions:
        raise _missing(f"Model {model.name}:{version}")
    return Reply(200, _version(call, model, version))


def _container(call: Call, model: Model, latest: str) -> JsonObject:
    return _resource(call, model, latest, "") | {
        "properties": {
            "description": None,
            "properties": {},
            "tags": {},
            "isArchived": False,
            "latestVersion": latest,
            "nextVersion": str(int(latest) + 1) if latest.isdigit() else None,
            **_state(call),
        }
    }


def _version(call: Call, model: Model, version: str) -> JsonObject:
    registry, name = model.registry, model.name
    container = uuid.uuid5(uuid.NAMESPACE_URL, model.asset_id).hex[:12]
    uri = f"azureml://registries/{registry}/data/{container}/versions/{version}/paths/{name}"
    return _resource(call, model, version, version) | {
        "properties": {
            "description": (
                f"{name} by {model.publisher}, as the emulator's catalogue knows it."
                " There are no weights behind it."
            ),
            "properties": registry_properties(model),
            "tags": registry_tags(model),
            "isArchived": False,
            "isAnonymous": False,
            "modelType": "mlflow_model" if model.managed else "custom_model",
            "modelUri": uri,
            "flavors": {"python_function": {"data": {"loader_module": "mlflow.transformers"}}},
            **_state(call),
        }
    }


def registry_properties(model: Model) -> dict[str, str]:
    """The properties of a registry model, in the words of azureml-assets' spec.yaml."""
    found = {"languages": "en", "model_id": f"emulator/{model.name}"}
    if model.managed is None:
        return found
    return found | {
        "SharedComputeCapacityEnabled": str(model.managed.shared).lower(),
        "inference-min-sku-spec": model.managed.min_sku,
        "inference-recommended-sku": ", ".join(model.managed.instance_types),
    }


def registry_tags(model: Model) -> dict[str, str]:
    """Its tags; the list of sizes is a Python literal, as the service renders it."""
    tags = {"task": model.task, "author": model.publisher, "maxContextLength": str(model.context)}
    if "image" in model.modalities:
        tags["inputModalities"] = ",".join(sorted(model.modalities, reverse=True))
    if model.managed is not None:
        tags["inference_compute_allow_list"] = str(list(model.managed.instance_types))
    if model.managed is not None and model.managed.shared:
        tags["SharedComputeCapacityEnabled"] = ""  # the tag's presence is what it says
    if model.fine_tuning:
        tags["finetuning_tasks"] = "text-generation"
    return tags | _lifecycle_tags(model.lifecycle)


def _lifecycle_tags(lifecycle: Lifecycle) -> dict[str, str]:
    dates: dict[str, dt.date | None] = {
        "InferenceLegacyDate": lifecycle.legacy,
        "InferenceDeprecationDate": lifecycle.deprecation,
        "InferenceRetirementDate": lifecycle.retirement,
    }
    return {name: day.isoformat() for name, day in dates.items() if day is not None}


def _state(call: Call) -> JsonObject:
    """What api-versions after the data plane's add."""
    return {} if _is_data_plane(call) else {"provisioningState": "Succeeded"}


def _resource(call: Call, model: Model, created: str, version: str) -> JsonObject:
    """Envelope of a container or, with a version, of one of its versions."""
    tail = f"/versions/{version}" if version else ""
    if _is_data_plane(call):
        identifier, kind = model.asset_id + tail, f"{_DATA_PLANE_TYPE}/models"
    else:
        registry = load_registries()[model.registry.lower()]
        identifier = f"{_arm_id(registry)}/models/{model.name}{tail}"
        kind = "Microsoft.MachineLearningServices/registries/models"
    at = model.created(created).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "id": identifier,
        "name": version or model.name,
        "type": kind + ("/versions" if version else ""),
        "systemData": {
            "createdAt": at,
            "createdBy": _SYSTEM_ACCOUNT,
            "createdByType": "User",
            "lastModifiedAt": at,
            "lastModifiedBy": _SYSTEM_ACCOUNT,
            "lastModifiedByType": "User",
        },
    }


# -- lookup --------------------------------------------------------------------------------


def _registry(call: Call) -> Registry:
    name = call.params["registryName"]
    found = load_registries().get(name.lower())
    if found is None:
        raise _absent(call)
    return found


def _owned_registry(call: Call) -> Registry:
    registry = _registry(call)
    if not _owns(call, registry):
        raise _absent(call)
    return registry


def _owns(call: Call, registry: Registry) -> bool:
    """Whether the registry is in the subscription and, where named, the group of the path."""
    group = call.params.get("resourceGroupName", resource_group(registry))
    return call.params[
        "subscriptionId"
    ].lower() == REGISTRY_SUBSCRIPTION and group.lower() == resource_group(registry)


def _model(call: Call) -> Model:
    registry = _owned_registry(call)
    name = call.params["modelName"]
    found = call.tenant.model(registry.name, name)
    if found is None:
        raise _missing(f"Model {name}")
    return found


def _absent(call: Call) -> ArmError:
    name = call.params["registryName"]
    return ArmError(
        404,
        "ResourceNotFound",
        f"The registry '{name}' was not found. The emulator's registries are "
        f"{', '.join(sorted(load_registries()))}, in subscription {REGISTRY_SUBSCRIPTION}.",
    )


def _missing(what: str) -> ArmError:
    return ArmError(404, "UserError", f"{what} not found in the registry.", inner=("NotFound",))


def _is_data_plane(call: Call) -> bool:
    return call.path.lstrip("/").lower().startswith("mferp")


def _view(call: Call) -> str:
    """`activeonly`, `archivedonly` or `all`; azure-ai-ml sends its enum's name (AZURE.md §7)."""
    word = call.query.get("listviewtype", "ActiveOnly")
    plain = word.rpartition(".")[2].replace("_", "").lower()
    if plain not in ("activeonly", "archivedonly", "all"):
        raise bad_argument(f"listViewType '{word}' is not one of ActiveOnly, ArchivedOnly, All.")
    return plain


def _page(call: Call, items: list[tuple[Model, str]], shape: Shape) -> Reply:
    start = _number(call, "$skip", 0)
    size = min(max(1, _number(call, "$top", _PAGE)), _PAGE)
    chosen = items[start : start + size]
    body: JsonObject = {"value": [shape(call, model, version) for model, version in chosen]}
    # `$top` asks for so many and no more; only a list without it goes on.
    if "$top" not in call.query and start + size < len(items):
        body["nextLink"] = call.link(call.path, _skip=str(start + size))
    return Reply(200, body)


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name)
    if text is None or text == "":
        return default
    if not text.isdecimal() or len(text) > 9:
        raise bad_argument(f"'{name}' must be a number, not '{text[:40]}'.")
    return int(text)


# -- ARM -----------------------------------------------------------------------------------


def _arm_id(registry: Registry) -> str:
    group = f"/subscriptions/{REGISTRY_SUBSCRIPTION}/resourceGroups/{resource_group(registry)}"
    return f"{group}/{ML}/registries/{registry.name}"


def _registry_body(call: Call, registry: Registry) -> JsonObject:
    found = f"{call.base_url}/registrymanagement/v1.0/registries/{registry.name}/discovery"
    return {
        "id": _arm_id(registry),
        "name": registry.name,
        "type": "Microsoft.MachineLearningServices/registries",
        "location": registry.location,
        "tags": {},
        "identity": {
            "type": "SystemAssigned",
            "principalId": str(uuid.uuid5(uuid.NAMESPACE_URL, registry.name)),
            "tenantId": call.tenant.scenario.tenant_id,
        },
        "properties": {
            "discoveryUrl": found,
            "intellectualPropertyPublisher": registry.publisher,
            "publicNetworkAccess": "Enabled",
            "mlFlowRegistryUri": f"{call.base_url}/mlflow/v1.0/registries/{registry.name}",
            "managedResourceGroup": None,
            "regionDetails": [{"location": registry.location}],
        },
    }
