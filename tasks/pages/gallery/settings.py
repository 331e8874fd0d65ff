"""The place in a manifest of the setting that a column holds: the way back from flat columns to nested YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, get_origin

from nst.config import METHOD_CONFIGS
from tasks.catalog import parameters

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Place:
    """A setting's keys below `method:`, and whether its column holds JSON text (of a mapping or list)."""

    keys: list[str]
    structured: bool


@cache
def places(method: str) -> dict[str, Place]:
    """Return the place of each column's setting, by column; {} for an unknown method.

    The columns are named by the rule of `tasks.catalog.parameters` itself, so that the two cannot drift apart.
    """
    config = METHOD_CONFIGS.get(method)
    return dict(_walk(config, "", [])) if config else {}


def _walk(model: type[BaseModel], prefix: str, keys: list[str]) -> Iterator[tuple[str, Place]]:
    for field, info in model.model_fields.items():
        column = parameters.column_name(prefix, field)
        blocks = list(parameters.blocks(info.annotation))
        for block in blocks:
            yield from _walk(block, column, [*keys, field])
        plain = [option for option in parameters.options(info.annotation) if option not in blocks]
        if plain:
            kinds = [get_origin(option) or option for option in plain]
            structured = any(
                isinstance(k, type) and issubclass(k, Mapping | Sequence | AbstractSet) and k is not str for k in kinds
            )
            yield column, Place([*keys, field], structured)
