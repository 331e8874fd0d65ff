"""JSON that somebody else may have written or damaged: read in one place, so that one kind of error says all."""

from __future__ import annotations

import json
from typing import Any


def from_json(text: str | bytes) -> Any:
    """Return what JSON says.

    Raises:
        ValueError: The text is no JSON, not UTF-8, or nested more deeply than Python follows.
    """
    try:
        return json.loads(text)  # noqa: TID251  the place
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
