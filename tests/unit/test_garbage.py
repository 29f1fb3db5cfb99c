"""Garbage is looked for seldom while a command runs, and as before afterwards."""

from __future__ import annotations

import gc

import pytest

from provisioner.garbage import seldom_collected


def test_the_threshold_is_raised_for_the_block_only() -> None:
    before = gc.get_threshold()
    try:
        with seldom_collected():
            assert gc.isenabled()
            assert gc.get_threshold()[0] > 10 * before[0]
        assert gc.get_threshold() == before
        assert gc.get_freeze_count() > 0, "the last collection has everything to look at"
    finally:
        gc.unfreeze()


def test_an_error_passes_and_leaves_the_threshold_as_it_was() -> None:
    before = gc.get_threshold()
    try:
        with pytest.raises(ValueError, match="anything"), seldom_collected():
            raise ValueError("anything")
        assert gc.get_threshold() == before
    finally:
        gc.unfreeze()
