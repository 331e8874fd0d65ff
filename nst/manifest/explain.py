"""Says what pydantic found in the words of a manifest: what is there, what is expected, what was probably meant."""

from __future__ import annotations

import re
import typing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel

from nst.config import METHOD_CONFIGS
from nst.config.architectures import LAYERS
from nst.config.layers import holds_layers
from nst.config.training import TRAINING_CONFIGS
from nst.yaml.problems import Fault, describe, missing_key, not_one_of, number, unknown_key, wrong_type
from nst.yaml.scalars import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from nst.yaml.positions import Path

_TYPES: Final[Mapping[str, type]] = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), int),
    **dict.fromkeys(("float_parsing", "float_type"), float),
    **dict.fromkeys(("bool_parsing", "bool_type"), bool),
    **dict.fromkeys(("list_type", "tuple_type"), list),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), dict),
    "string_type": str,
}
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_LENGTHS: Final[Mapping[str, tuple[str, str, str]]] = {
    "too_short": ("min_length", "at least", "item"),
    "too_long": ("max_length", "at most", "item"),
    "string_too_short": ("min_length", "at least", "character"),
    "string_too_long": ("max_length", "at most", "character"),
}

_SETTINGS_OF: Final[dict[str, Mapping[str, type[BaseModel]]]] = {"method": METHOD_CONFIGS, "training": TRAINING_CONFIGS}
"""Whose settings stand in a block of their own, by the key of the block."""


def explain(details: ErrorDetails, path: Path, value: Any, settings: type[BaseModel]) -> Fault:
    """Return one error of pydantic as a fault.

    Args:
        details: From `ValidationError.errors()`.
        path: Where it is in the document.
        value: What is there.
        settings: What was validated.
    """
    kind, loc = details["type"], details["loc"]
    if kind in {"missing", "extra_forbidden"}:
        return missing_key(path, str(loc[-1])) if kind == "missing" else _unknown_key(path, loc, settings)
    if kind in {"literal_error", "union_tag_invalid"}:
        return _choice(path, value, loc, settings)
    if kind == "string_pattern_mismatch":
        return _pattern(details, path, value, settings)
    if kind in _BOUNDS or kind in _LENGTHS:
        return _limit(details, path, value)
    if kind in _TYPES:
        return _type(kind, path, value, loc, settings)
    return Fault(path, _message(details, value))


def _unknown_key(path: Path, loc: tuple[str | int, ...], settings: type[BaseModel]) -> Fault:
    key, block = str(loc[-1]), loc[:-1]
    known = {name for owner in _blocks_at(settings, block) for name in owner.model_fields}
    siblings = [owner for owner in _blocks_at(settings, block[:-1]) if key in owner.model_fields] if block else []
    owners = [f"of {sibling.model_fields['name'].default}" for sibling in siblings if "name" in sibling.model_fields]
    if not block:
        owners += [f"of the {name}: {name}.{key}" for name in _SETTINGS_OF if name in known and _is_setting(key, name)]
    return unknown_key(path, known, hint=f"{key!r} is a setting {owners[0]}" if owners else "")


def _is_setting(key: str, name: str) -> bool:
    return any(key in config.model_fields for config in _SETTINGS_OF[name].values())


def _choice(path: Path, value: Any, loc: tuple[str | int, ...], settings: type[BaseModel]) -> Fault:
    annotations = [field.annotation for field in _fields_at(settings, loc)]
    if isinstance(value, dict) and any(map(blocks, annotations)):
        path, value = (*path, "name"), value.get("name")
    options = [word for annotation in annotations for word in _options(annotation)]
    fault = not_one_of(path, value, dict.fromkeys(options))
    by_uri = any("uri" in block.model_fields for annotation in annotations for block in blocks(annotation))
    hint = f"a file is written as {{uri: {shorten(value)}}}" if by_uri and isinstance(value, str) else ""
    return replace(fault, hint=fault.hint or hint)


def _options(annotation: Any) -> Iterator[str]:
    """Yield the words to choose from: those of a literal, and the names of the blocks of a union."""
    if typing.get_origin(annotation) is Literal:
        yield from map(str, typing.get_args(annotation))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if "name" in annotation.model_fields:
            yield str(annotation.model_fields["name"].default)
    else:
        for inner in typing.get_args(annotation):
            yield from _options(inner)


def _pattern(details: ErrorDetails, path: Path, value: Any, settings: type[BaseModel]) -> Fault:
    loc, pattern = details["loc"], str(details["ctx"]["pattern"])
    at_key = loc[-1] == "[key]"
    text = str(loc[-2] if at_key else value)
    if any(holds_layers(field) for field in _fields_at(settings, loc)):
        return replace(not_one_of(path, text, LAYERS, "a layer such as relu4_2 or pool3"), key=at_key)
    simple = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:100]
    hint = f"e.g. {simple!r}" if simple and re.search(pattern, simple) else ""
    letters = "letters" if "A-Z" in pattern else "small letters"
    message = f"found {describe(text)}, expected a name of {letters}, digits, '.', '_' and '-'"
    return Fault(path, message, hint, key=at_key)


def _limit(details: ErrorDetails, path: Path, value: Any) -> Fault:
    context = details["ctx"]
    if details["type"] in _BOUNDS:
        bound, words = _BOUNDS[details["type"]]
        if isinstance(value, str | bool):
            return wrong_type(path, value, float)
        return Fault(path, f"found {describe(value)}, expected {words} {number(context[bound])}")
    bound, words, unit = _LENGTHS[details["type"]]
    length = context[bound]
    found = ("an empty text" if value == "" else describe(value)) if not value else f"{len(value)} {unit}s"
    return Fault(path, f"found {found}, expected {words} {length} {unit}{'s' if length > 1 else ''}")


def _type(kind: str, path: Path, value: Any, loc: tuple[str | int, ...], settings: type[BaseModel]) -> Fault:
    if kind == "dict_type" and value == []:
        return Fault(path, "found an empty list, expected at least 1 item")
    if _TYPES[kind] is dict:
        keys = {name for block in _blocks_at(settings, loc) for name in block.model_fields}
        short = "a URI" if "uri" in keys else "a name" if "name" in keys else ""
        if short:
            return Fault(path, f"found {describe(value)}, expected {short} or a mapping")
    return wrong_type(path, value, _TYPES[kind])


def _message(details: ErrorDetails, value: Any) -> str:
    if details["type"] == "finite_number":
        return f"found {describe(value)}, expected a finite number"
    return str(details["ctx"]["error"] if details["type"] == "value_error" else details["msg"])


def _fields_at(settings: type[BaseModel], loc: tuple[str | int, ...]) -> list[FieldInfo]:
    """Return the fields that `loc` may lie in: those that the last part of it that names a field may mean."""
    for end in range(len(loc), 0, -1):
        owners = _blocks_at(settings, loc[: end - 1])
        if fields := [owner.model_fields[str(loc[end - 1])] for owner in owners if loc[end - 1] in owner.model_fields]:
            return fields
    return []


def _blocks_at(settings: type[BaseModel], loc: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """Return the blocks that may stand at `loc` below `settings`; the tags of unions in `loc` choose the member."""
    found = [settings]
    for part in loc:
        owners = [block for block in found if part in block.model_fields]
        if owners:
            found = [inner for owner in owners for inner in blocks(owner.model_fields[str(part)].annotation)]
        elif isinstance(part, str):
            tagged = [b for b in found if "name" in b.model_fields and b.model_fields["name"].default == part]
            found = tagged or found
    return found


def blocks(annotation: Any) -> list[type[BaseModel]]:
    """Return the blocks inside a type annotation, e.g. the members of a union or the items of a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [block for inner in typing.get_args(annotation) for block in blocks(inner)]
