"""The product's catalogue and the emulator's data are written apart and must not contradict."""

from __future__ import annotations

from datetime import date

from provisioner import catalog
from provisioner.emulator.models import load_models

TODAY = date(2026, 11, 25)


def test_what_the_catalogue_lets_through_the_emulator_serves() -> None:
    """Else a manifest that passes every check fails at its first try on the emulator."""
    known = load_models()
    compared = 0
    for model in catalog.load().models.values():
        serverless, lifecycle = model.serverless, model.lifecycle
        stage = lifecycle.stage(TODAY) if lifecycle is not None else None
        if serverless is None or serverless.regions is None or stage not in (None, "ga", "legacy"):
            continue
        there = known.get((model.registry.lower(), model.name.lower()))
        assert there is not None, model.short
        assert there.serverless is not None, model.short
        assert serverless.regions <= set(there.serverless.regions), model.short
        assert (there.serverless.offer is not None) == serverless.marketplace, model.short
        compared += 1
    assert compared >= 20
