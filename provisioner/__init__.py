"""Declarative provisioning of Azure Machine Learning model endpoints.

manifests → desired → observe → plan → preflight → apply → outputs
"""

from __future__ import annotations

__version__ = "0.1.0"
