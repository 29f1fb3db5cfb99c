"""Regions, and the api-versions that each resource type answers (AZURE.md §1, §15)."""

from __future__ import annotations

# Region: display name, geography, the group that ARM sorts it under (public list, 2026-07).
REGIONS: dict[str, tuple[str, str]] = {
    "eastus": ("East US", "US"),
    "eastus2": ("East US 2", "US"),
    "centralus": ("Central US", "US"),
    "northcentralus": ("North Central US", "US"),
    "southcentralus": ("South Central US", "US"),
    "westcentralus": ("West Central US", "US"),
    "westus": ("West US", "US"),
    "westus2": ("West US 2", "US"),
    "westus3": ("West US 3", "US"),
    "canadacentral": ("Canada Central", "Canada"),
    "brazilsouth": ("Brazil South", "South America"),
    "northeurope": ("North Europe", "Europe"),
    "westeurope": ("West Europe", "Europe"),
    "swedencentral": ("Sweden Central", "Europe"),
    "francecentral": ("France Central", "Europe"),
    "germanywestcentral": ("Germany West Central", "Europe"),
    "italynorth": ("Italy North", "Europe"),
    "norwayeast": ("Norway East", "Europe"),
    "polandcentral": ("Poland Central", "Europe"),
    "spaincentral": ("Spain Central", "Europe"),
    "switzerlandnorth": ("Switzerland North", "Europe"),
    "uksouth": ("UK South", "Europe"),
    "uaenorth": ("UAE North", "Middle East"),
    "southafricanorth": ("South Africa North", "Africa"),
    "centralindia": ("Central India", "Asia Pacific"),
    "southindia": ("South India", "Asia Pacific"),
    "eastasia": ("East Asia", "Asia Pacific"),
    "southeastasia": ("Southeast Asia", "Asia Pacific"),
    "japaneast": ("Japan East", "Asia Pacific"),
    "koreacentral": ("Korea Central", "Asia Pacific"),
    "australiaeast": ("Australia East", "Asia Pacific"),
}

ML_VERSIONS = (
    "2022-02-01-preview",
    "2022-10-01-preview",
    "2023-04-01-preview",
    "2023-08-01-preview",
    "2024-01-01-preview",
    "2024-10-01",
)
SERVERLESS_VERSIONS = ("2024-01-01-preview", "2024-10-01")
WORKSPACE_VERSIONS = ("2020-08-01", *ML_VERSIONS, "2024-10-01-preview")
COMPUTE_VERSIONS = WORKSPACE_VERSIONS
ORDERING_VERSIONS = ("2021-01-01",)
AUTHORIZATION_VERSIONS = (
    "2015-07-01",
    "2018-01-01-preview",
    "2018-07-01",
    "2018-09-01-preview",
    "2020-04-01-preview",
    "2020-10-01-preview",
    "2022-04-01",
    "2022-05-01-preview",
)
LOCK_VERSIONS = ("2016-09-01", "2017-04-01", "2020-05-01")
RESOURCES_VERSIONS = (
    "2016-06-01",
    "2018-05-01",
    "2019-05-10",
    "2019-06-01",
    "2019-10-01",
    "2019-11-01",
    "2020-01-01",
    "2020-06-01",
    "2020-10-01",
    "2021-01-01",
    "2021-04-01",
    "2022-09-01",
    "2022-12-01",
    "2023-07-01",
    "2024-03-01",
    "2024-07-01",
    "2024-11-01",
    "2025-03-01",
    "2025-04-01",
)
