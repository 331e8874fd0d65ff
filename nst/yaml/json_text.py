"""JSON that somebody else may have written or damaged: read in one place, so that one kind of error says all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_Checked = TypeVar("_Checked")


def from_json(text: str | bytes) -> Any:
    """Return what JSON says.

    Raises:
        ValueError: The text is no JSON, not UTF-8, or nested more deeply than Python follows.
    """
    try:
        return json.loads(text)  # noqa: TID251  the place
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def checked_json(kind: TypeAdapter[_Checked], text: str | bytes) -> _Checked:
    """Return what JSON says as a value of a type, every part of it checked; nothing is converted.

    Keys that the type does not have are passed over: a newer version of nst may have written them.

    Raises:
        ValueError: The text is no JSON, or does not fit the type; the message is one line, and says where.
    """
    try:
        return kind.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from None
