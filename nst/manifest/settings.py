"""The settings of a configuration as the reference shows them: key, type, default and meaning, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from nst.manifest.explain import blocks
from nst.manifest.markdown import link
from nst.yaml.problems import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a manifest.

    Attributes:
        key: Its name; below a block its dotted path.
        kind: Its type in words, or a link to the section of its block.
        meaning: Its description.
        default: Its default as YAML; `required`, or "" for none.
    """

    key: str
    kind: str
    meaning: str
    default: str

    @property
    def described(self) -> tuple[str, str, str]:
        """What two settings have in common that need only one description: all but the default."""
        return self.key, self.kind, self.meaning


def settings_of(model: type[BaseModel], kinds: Mapping[str, str] | None = None) -> list[Setting]:
    """Return the settings of a configuration; a block counts as one.

    Args:
        model: The configuration.
        kinds: Types by key, for fields that are written in more forms than their annotation says.
    """
    schema = model.model_json_schema()["properties"]
    found = []
    for key, info in model.model_fields.items():
        inner = blocks(info.annotation)
        kind = (kinds or {}).get(key) or _kind(key, schema[key], is_block=bool(inner))
        meaning = info.description or summary_of(inner)
        found.append(Setting(key, kind, meaning, _default(info)))
    return found


def settings_of_block(key: str, members: tuple[type[BaseModel], ...]) -> Iterator[Setting]:
    """Yield the settings of a block under their dotted paths.

    Args:
        key: The block's own key.
        members: The configurations that may stand there. Of several, each setting tells whose it is, and the names are
            left out.
    """
    for member in members:
        for inner in settings_of(member):
            if len(members) == 1:
                yield Setting(f"{key}.{inner.key}", inner.kind, inner.meaning, inner.default)
            elif inner.key != "name":
                of = f"Of `{member.model_fields['name'].default}`. {inner.meaning}"
                yield Setting(f"{key}.{inner.key}", inner.kind, of, inner.default)


def summary(model: type[BaseModel]) -> str:
    """Return the first paragraph of a configuration's docstring."""
    return (model.__doc__ or "").split("\n\n")[0]


def summary_of(members: Sequence[type[BaseModel]]) -> str:
    """Return the summary of a block; of several that may stand there each with its name."""
    if len(members) == 1:
        return summary(members[0])
    return " ".join(f"`{member.model_fields['name'].default}`: {summary(member)}" for member in members)


def written(value: Any) -> str:
    """Return a validated value as YAML on one line; of blocks, what differs from their own defaults."""
    if isinstance(value, BaseModel):
        value = _differing(value)
    if isinstance(value, Mapping) and len(set(value.values())) == 1 and math.isclose(sum(value.values()), 1):
        value = list(value)  # equal weights that add up to one are what a list of layers means
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return number(value) if isinstance(value, int | float) else str(value)


def _differing(block: BaseModel) -> str | dict[str, Any]:
    """Return the name of a block, or what differs from its class's defaults, with the name."""
    name = {"name": block.name} if "name" in type(block).model_fields else {}  # type: ignore[attr-defined]  # no field of every block
    differing = {
        key: getattr(block, key)
        for key, info in type(block).model_fields.items()
        if key != "name" and getattr(block, key) != info.default
    }
    return name["name"] if name and not differing else {**name, **differing}


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    return "" if info.default is None else f"`{written(info.default)}`"


def _kind(key: str, schema: dict[str, Any], *, is_block: bool) -> str:
    """Return the type of a setting in words, with a link to its section if it is a block or may be one."""
    if not is_block:
        return _words(schema)
    words = [_words(option) for option in schema.get("oneOf", ()) if "$ref" not in option]
    return " or ".join([*words, link(key, "block")])


def _words(schema: dict[str, Any]) -> str:
    """Return a type in words, from its JSON Schema."""
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_words(option) for option in options if option.get("type") != "null")
    words = {
        "integer": "whole number", "number": "number", "string": "text", "boolean": "true or false",
        "array": "list", "object": "layers, a list or with weights",
    }[schema["type"]]  # fmt: skip
    bounds = [
        f"{sign} {number(schema[key])}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    return " ".join([words, ", ".join(bounds)]).strip()
