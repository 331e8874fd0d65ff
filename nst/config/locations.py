"""The protocols that a location may name, read by both the grammar of manifests and the stores."""

from __future__ import annotations

from typing import Final

ROOT_SCHEMES: Final = ("file", "s3", "gs", "az", "abfs", "memory")
"""Protocols of a root: those whose objects can be written."""

INPUT_SCHEMES: Final = (*ROOT_SCHEMES, "http", "https")
"""Protocols of a manifest's inputs: those whose objects can be read."""
