"""Carrying out a plan: concurrent, resumable, honest about what it did."""

from __future__ import annotations

from provisioner.apply.context import Probe, Settings
from provisioner.apply.executor import execute
from provisioner.apply.report import Report, Result

__all__ = ["Probe", "Report", "Result", "Settings", "execute"]
