"""Late lookup of variants: a sorted table `name -> "module:attribute"`, imported when asked for. Knows no variant."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nst.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping


def resolve(table: Mapping[str, str], name: str, *, what: str) -> Any:
    """Return the object that `table` files under `name`, imported only now.

    Args:
        table: Names to `"package.module:attribute"`.
        name: The wanted name.
        what: What the names stand for, for the message: "method".

    Raises:
        UserError: The name is unknown; the message lists the known ones and the hint the nearest.
    """
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"did you mean {near[0]!r}?" if near else ""
        raise UserError(f"unknown {what} {name!r}; expected one of {', '.join(sorted(table))}", hint=hint)
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
