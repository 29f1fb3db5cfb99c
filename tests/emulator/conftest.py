"""Settings of the emulator's tests."""

from __future__ import annotations

from hypothesis import settings

# Examples are not timed: on a busy machine a slow one is no failure. Figures are in benchmarks/.
settings.register_profile("emulator", deadline=None)
settings.load_profile("emulator")
