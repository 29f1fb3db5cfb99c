"""The catalogue: what is publicly known of models, VM sizes and regions, each with its source.

The data files in `data/` state, entry by entry, the document that a fact comes from and its date;
what no document says is absent here rather than guessed, and then asked of Azure by preflight.
"""

from __future__ import annotations

from provisioner.catalog.catalog import Catalog, load
from provisioner.catalog.facts import (
    LIMITS,
    CatalogModel,
    Lifecycle,
    Limits,
    ManagedFacts,
    Minimum,
    OfferPlan,
    ServerlessFacts,
    Sku,
    Source,
    Stage,
    furthest,
)

__all__ = [
    "LIMITS",
    "Catalog",
    "CatalogModel",
    "Lifecycle",
    "Limits",
    "ManagedFacts",
    "Minimum",
    "OfferPlan",
    "ServerlessFacts",
    "Sku",
    "Source",
    "Stage",
    "furthest",
    "load",
]
