"""One catalog column per setting of every method, generated from the configuration models.

A nested block is flattened with its key as prefix (`optimizer.history` -> `optimizer_history`), the `name` of a block
is the block's own column (`optimizer.name` -> `optimizer`), and a mapping or list becomes compact JSON.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from nst.config import METHOD_CONFIGS
from nst.config.block import Block
from nst.redaction import redacted
from tasks.catalog.columns import Column, Type


@cache
def columns() -> tuple[Column, ...]:
    """Return a column for every setting of every method, in the order of their configurations; errors as `union`."""
    return union(METHOD_CONFIGS.values())


@cache
def deciding() -> frozenset[str]:
    """Return the columns of the settings that decide what others are filled with where these are left out."""
    fields = frozenset[str]().union(*(config.DECIDES for config in METHOD_CONFIGS.values()))
    prefixes = tuple(f"{field}_" for field in fields)
    return frozenset(c.name for c in columns() if c.name in fields or c.name.startswith(prefixes))


def union(configs: Iterable[type[BaseModel]]) -> tuple[Column, ...]:
    """Return a column for every setting that one of the configurations has.

    Raises:
        TypeError: Two configurations give a setting of one name types that no column can hold.
    """
    merged: dict[str, Column] = {}
    for config in configs:
        for column in _of_model(config, ""):
            if column.name == "method":
                continue
            old = merged.get(column.name)
            merged[column.name] = column if old is None else _merge(old, column)
    return tuple(merged.values())


def flatten(config: BaseModel) -> dict[str, object]:
    """Return the settings of one validated configuration as column values, `method` included."""
    return dict(_values(config, ""))


def column_name(prefix: str, field: str) -> str:
    """Return the name of the column of a field of a block, given the name of the block's column."""
    if field == "name":
        return prefix or "method"
    return f"{prefix}_{field}" if prefix else field


def _of_model(model: type[BaseModel], prefix: str) -> Iterator[Column]:
    for field, info in model.model_fields.items():
        description = " ".join((info.description or "").split())
        for block in blocks(info.annotation):
            yield from _of_model(block, column_name(prefix, field))
        if not _is_plain(info.annotation):
            continue
        about = description or f"Setting `{prefix + '.' if prefix else ''}{field}` of the manifest."
        if field == "name" and prefix:
            about = f"Name of the {prefix.replace('_', ' ')}."
        yield Column(column_name(prefix, field), _type(info.annotation), about)


def _values(config: BaseModel, prefix: str) -> Iterator[tuple[str, object]]:
    recorded = config.RECORDED if isinstance(config, Block) else {}
    for field, info in type(config).model_fields.items():
        value = getattr(config, recorded.get(field, field))
        name = column_name(prefix, field)
        if isinstance(value, BaseModel):
            yield from _values(value, name)
        elif value is None and not _is_plain(info.annotation):
            continue  # a block that is left out
        elif isinstance(value, Mapping | list | tuple | set | frozenset):
            yield name, compact(value)
        else:
            text = isinstance(value, str)
            yield name, None if text and _is_number(info.annotation) else redacted(value) if text else value


def compact(value: Any) -> str:
    """Return a mapping or list as JSON with sorted keys and no spaces; nested configurations included."""

    def plain(item: Any) -> Any:
        return item.model_dump(mode="json") if isinstance(item, BaseModel) else sorted(item)

    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=plain, ensure_ascii=False)


def _strip(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def options(annotation: Any) -> list[Any]:
    """Return the members of a union, `None` left out; of any other annotation, the annotation itself."""
    annotation = _strip(annotation)
    if get_origin(annotation) in {typing.Union, types.UnionType}:
        return [part for option in get_args(annotation) if option is not type(None) for part in options(option)]
    return [annotation]


def blocks(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the nested configurations that a field may hold."""
    for option in options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            yield option


def _is_plain(annotation: Any) -> bool:
    """Return whether a field may hold anything but a block."""
    return any(option not in set(blocks(annotation)) for option in options(annotation))


def _is_number(annotation: Any) -> bool:
    """Return whether the column of a field holds numbers; a word that the field may have instead is null there."""
    return _type(annotation) in {"int64", "float64"}


def _type(annotation: Any) -> Type:
    plain = [option for option in options(annotation) if option not in set(blocks(annotation))]
    kinds = {_simple(option) for option in plain}
    if kinds > {"string"} and all(get_origin(option) is Literal for option in plain if _simple(option) == "string"):
        kinds.discard("string")  # words in place of a number
    if kinds == {"int64", "float64"}:
        return "float64"
    return kinds.pop() if len(kinds) == 1 else "string"


def _simple(option: Any) -> Type:
    if get_origin(option) is Literal:
        found = {_simple(type(value)) for value in get_args(option)}
        return found.pop() if len(found) == 1 else "string"
    by_type: dict[Any, Type] = {bool: "bool", int: "int64", float: "float64"}
    return by_type.get(option, "string")


def _merge(old: Column, new: Column) -> Column:
    about = old.description if not old.description.startswith("Setting `") else new.description
    if old.type == new.type:
        return Column(old.name, old.type, about)
    if {old.type, new.type} == {"int64", "float64"}:
        return Column(old.name, "float64", about)
    raise TypeError(f"setting {old.name!r} is {old.type} in one method and {new.type} in another")
