"""Which protocols a location may name. The one list: the grammar of manifests and the stores both read it."""

from __future__ import annotations

from typing import Final

ROOT_SCHEMES: Final = ("file", "s3", "gs", "az", "abfs", "memory")
"""Protocols that a root may have: those whose objects can be written."""

INPUT_SCHEMES: Final = (*ROOT_SCHEMES, "http", "https")
"""Protocols that an input of a manifest may have: those whose objects can be read."""
