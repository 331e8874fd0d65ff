"""What pydantic found in the user's words: found, expected, and what was probably meant."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from nst.config.architectures import LAYERS
from nst.yaml.problems import describe, did_you_mean, keys_hint, number, one_of
from nst.yaml.scalars import old_yaml_hint, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

    from nst.yaml.positions import Path

_EXPECTED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "a mapping"),
    "string_type": "text",
    "finite_number": "a finite number",
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


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a value: its path below that value, what is wrong, a hint, and whether the key is at fault."""

    path: Path
    message: str
    hint: str = ""
    key: bool = False


def explain(details: ErrorDetails, path: Path, value: Any, model: type[BaseModel]) -> Fault:
    """Return one error of pydantic as a fault.

    Args:
        details: From `ValidationError.errors()`.
        path: Where it is in the document.
        value: What is there.
        model: What was validated.
    """
    kind = details["type"]
    if kind in {"extra_forbidden", "missing"}:
        return _key(details, path, model)
    if kind in {"literal_error", "union_tag_invalid"}:
        return _choice(details, path, value)
    if kind == "string_pattern_mismatch":
        loc = details["loc"]
        at_key = bool(loc) and loc[-1] == "[key]"
        return Fault(path, *_pattern(str(loc[-2] if at_key else value), str(details["ctx"]["pattern"])), key=at_key)
    if kind in _BOUNDS or kind in _LENGTHS:
        return _limit(details, path, value)
    if kind in _EXPECTED:
        expected = _EXPECTED[kind]
        if kind == "dict_type" and value == []:
            expected = "at least 1 item"
        if expected == "a mapping" and any(
            {"name", "uri"} & m.model_fields.keys() for m in _models(model, details["loc"])
        ):
            expected = "text or a mapping"
        return Fault(path, *found_expected(value, expected))
    return Fault(path, str(details["msg"]).removeprefix("Value error, "))


def _key(details: ErrorDetails, path: Path, model: type[BaseModel]) -> Fault:
    key = str(details["loc"][-1])
    if details["type"] == "missing":
        return Fault(path, f"the key {key!r} is missing", key=bool(path))
    loc = details["loc"][:-1]
    known = {name for block in _models(model, loc) for name in block.model_fields}
    others = [block for block in _models(model, loc[:-1]) if key in block.model_fields] if loc else []
    if others and "name" in others[0].model_fields:
        hint = f"{key!r} belongs to {others[0].model_fields['name'].default}"
    else:
        hint = keys_hint(key, known)
    return Fault(path, f"unknown key {shorten(key)!r}", hint, key=True)


def _choice(details: ErrorDetails, path: Path, value: Any) -> Fault:
    if isinstance(value, dict):
        path, value = (*path, "name"), value.get("name")
    context = details["ctx"]
    options = re.findall(r"'([^']*)'", str(context.get("expected") or context.get("expected_tags")))
    hint = did_you_mean(value, options) if isinstance(value, str) else ""
    return Fault(path, f"found {describe(value)}, expected {one_of(options)}", hint)


def _limit(details: ErrorDetails, path: Path, value: Any) -> Fault:
    context = details["ctx"]
    if details["type"] in _BOUNDS:
        bound, words = _BOUNDS[details["type"]]
        if isinstance(value, str | bool):
            return Fault(path, *found_expected(value, "a number"))
        return Fault(path, f"found {describe(value)}, expected {words} {number(context[bound])}")
    bound, words, unit = _LENGTHS[details["type"]]
    length = context[bound]
    found = ("an empty text" if value == "" else describe(value)) if not value else f"{len(value)} {unit}s"
    return Fault(path, f"found {found}, expected {words} {length} {unit}{'s' if length > 1 else ''}")


def found_expected(value: Any, expected: str) -> tuple[str, str]:
    """Return message and hint for a value of the wrong type."""
    text = "the text " if isinstance(value, str) and expected != "text" else ""
    hint = old_yaml_hint(value, expected) if isinstance(value, str) else ""
    return f"found {text}{describe(value)}, expected {expected}", hint


def _pattern(text: str, pattern: str) -> tuple[str, str]:
    if re.search(pattern, "relu4_2") and not re.search(pattern, "sweep"):
        return f"found {describe(text)}, expected a layer such as relu4_2 or pool3", did_you_mean(text, LAYERS)
    simple = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:100]
    hint = f"write {simple}" if simple and re.search(pattern, simple) else ""
    letters = "letters" if "A-Z" in pattern else "small letters"
    return f"found {describe(text)}, expected a name of {letters}, digits, '.', '_' and '-'", hint


def _models(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """Return the models that may stand at `loc` below `model`; union tags in `loc` choose the member."""
    models = [model]
    for part in loc:
        inner = [
            block for m in models if part in m.model_fields for block in blocks(m.model_fields[str(part)].annotation)
        ]
        if any(part in m.model_fields for m in models):
            models = inner
        elif isinstance(part, str):
            models = [
                m for m in models if "name" in m.model_fields and m.model_fields["name"].default == part
            ] or models
    return models


def blocks(annotation: Any) -> list[type[BaseModel]]:
    """Return the pydantic models inside a type annotation, e.g. the members of a union or the items of a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [block for inner in typing.get_args(annotation) for block in blocks(inner)]
