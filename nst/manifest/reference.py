"""The manifest's grammar for editors (JSON Schema) and for readers (Markdown), both generated from the models."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from nst.config import METHOD_CONFIGS
from nst.config.training import TRAINING_CONFIGS
from nst.manifest.blocks import Budget, ContentSpec, ManifestBlock, MixImage, Output, StyleSpec
from nst.manifest.explain import blocks
from nst.manifest.methods import paths
from nst.manifest.training import TrainBlock, TrainStyle
from nst.yaml.problems import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

_AXIS: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "null"},
        {"type": "array", "minItems": 1},
        {
            "type": "object",
            "properties": {
                "from": {"type": "number"},
                "to": {"type": "number"},
                "num": {"type": "integer", "minimum": 2},
                "scale": {"enum": ["linear", "log"]},
            },
            "required": ["from", "to", "num"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"count": {"type": "integer", "minimum": 1}, "first": {"type": "integer", "minimum": 0}},
            "required": ["count"],
            "additionalProperties": False,
        },
    ]
}
_SWEEP: Final = """\
| form | meaning |
|---|---|
| `style_weight: [10, 100]` | an axis: a setting of the method by its dotted path, and its values |
| `optimizer: [lbfgs, {name: adam, learning_rate: 0.05}]` | whole blocks as values |
| `content_weight: {from: 1, to: 100, num: 5, scale: log}` | a range with both ends, `linear` (default) or `log` |
| `seed: {count: 4}` or `{count: 4, first: 10}` | whole numbers from `first` (default 0) |
| `zip: [{style_weight: [1, 10], tv_weight: [0, 1]}]` | axes that advance together; all others are multiplied out |
| `exclude: [{style_weight: 10, seed: [2, 3]}, {content: night, style: wave*}]` | leaves out the points that match \
everything a rule names: values of axes, names (or patterns) of contents and styles |

With several `methods` an axis multiplies those that have its setting, and the others stand once; an axis that none \
of them has is refused. Of zipped axes a method takes those that it has. A method may be listed several times with \
different settings. Rules may name a `method`, too: `exclude: [{method: mrf, size: 512}]`. A rule leaves alone what \
lacks anything that it names: an axis, a content, a style. Cells that come out equal are computed once.
"""

_WRITTEN: Final = {
    **dict.fromkeys(("contents", "photographs", "styles"), "text or list"),
    **dict.fromkeys(("method", "training"), "name or block"),
    "methods": "list of names and blocks",
    **dict.fromkeys(("sweep", "budget", "output"), "block"),
}
"""How the keys of manifests are written that take more than one form."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of sweeps, for editors; `parse_manifest` checks more than it can say."""
    schema = _schema(ManifestBlock, "method", "name", METHOD_CONFIGS)
    properties, (whole, extends) = schema["properties"], schema["anyOf"]
    properties["kind"] = {"const": "sweep"}
    several = {"type": "array", "minItems": 1, "items": {"anyOf": properties["method"]["anyOf"]}}
    properties["methods"] = {"description": properties["methods"]["description"], **several}
    rule = {"type": "object", "minProperties": 1}
    properties["sweep"]["properties"]["exclude"] = {"type": "array", "items": rule}
    ways = [{"required": [*whole["required"], key]} for key in ("method", "methods")]
    return {**schema, "anyOf": [*ways, extends], "title": "nst sweep manifest"}


def training_schema() -> dict[str, Any]:
    """Return the same for training manifests."""
    return {**_schema(TrainBlock, "training", "family", TRAINING_CONFIGS), "title": "nst training manifest"}


def _schema(block: type[BaseModel], chosen: str, tag: str, configs: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """Return the schema of a manifest whose key `chosen` names one of the configurations by its field `tag`."""
    schema = block.model_json_schema()
    definitions: dict[str, Any] = schema["$defs"]
    choices: list[dict[str, Any]] = []
    settings: dict[str, Any] = {}
    for name, model in configs.items():
        own = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(own.pop("$defs", {}))
        definitions[model.__name__] = own
        # `null` drops what the manifest that is extended says.
        own["properties"] = {key: {"anyOf": [part, {"type": "null"}]} for key, part in own["properties"].items()}
        choices += [{"const": name}, {"$ref": f"#/$defs/{model.__name__}"}]
        settings.update({path: {"$ref": "#/$defs/axis"} for path in sorted(paths(model) - {tag})})
    for part in list(definitions.values()):
        part["properties"] = {key: _short_forms(value, definitions) for key, value in part["properties"].items()}
    properties = {key: _short_forms(value, definitions) for key, value in schema["properties"].items()}
    for key in ("contents", "photographs", "styles"):
        if key in properties:
            items = properties[key]["items"]
            properties[key] = {"description": properties[key]["description"], "anyOf": [properties[key], items]}
    properties[chosen] = {"description": properties[chosen]["description"], "anyOf": choices}
    axis = {"$ref": "#/$defs/axis"}
    definitions["axis"] = _AXIS
    zipped = {"type": "array", "items": {"type": "object", "minProperties": 2, "additionalProperties": axis}}
    properties["sweep"] = {
        "description": properties["sweep"]["description"],
        "type": ["object", "null"],
        "properties": {**settings, "zip": zipped},
        "additionalProperties": False,
    }
    required = schema.pop("required")
    schema.update(properties=properties, anyOf=[{"required": required}, {"required": ["extends"]}])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _short_forms(value: Any, definitions: dict[str, Any]) -> Any:
    """Return a part of the schema that also allows bare names, bare URIs and lists of layers."""
    if isinstance(value, list):
        return [_short_forms(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        target = definitions[value["$ref"].rsplit("/", 1)[1]]
        keys = target.get("properties", {})
        name = keys.get("name", {})
        if "uri" in keys:
            return {"anyOf": [{"type": "string", "minLength": 1}, value]}
        names = [name["const"]] if "const" in name else name.get("enum")
        return {"anyOf": [{"enum": names}, value]} if names else value
    value = {key: _short_forms(inner, definitions) for key, inner in value.items() if key != "discriminator"}
    if "oneOf" in value:
        value["anyOf"] = value.pop("oneOf")
    if "propertyNames" in value or "patternProperties" in value:
        rest = {key: value.pop(key) for key in ("default", "title", "description") if key in value}
        layers = {"type": ["array", "string"], "minItems": 1, "items": {"type": "string"}}
        return {**rest, "anyOf": [value, layers]}
    return value


def manifest_reference() -> str:
    """Return the reference of the manifest as Markdown: every key with its type, default and meaning."""
    parts = ["### The manifest\n", _table(ManifestBlock, "")]
    for title, model in (
        ("Items of `contents`", ContentSpec),
        ("Items of `styles`", StyleSpec),
        ("Items of a style's `images`", MixImage),
        ("`budget`", Budget),
        ("`output`", Output),
    ):
        parts += [f"### {title}\n", _table(model, "")]
    parts += ["### `sweep`\n", _SWEEP]
    told: dict[str, str] = {}
    for name, config in METHOD_CONFIGS.items():
        heading, anchor = f"method: {{name: {name}}}", f"method-name-{name}"
        parts += [f"### `{heading}`\n", f"{_first_line(config)}\n", _table(config, "", anchor, told)]
    parts += ["### The training manifest\n", _table(TrainBlock, ""), "### Items of a training's `styles`\n"]
    parts += [_table(TrainStyle, "")]
    for family, training in TRAINING_CONFIGS.items():
        heading, anchor = f"training: {{family: {family}}}", f"training-family-{family}"
        parts += [f"### `{heading}`\n", f"{_first_line(training)}\n", _table(training, "", anchor, told)]
    return "\n".join(parts)


def _table(model: type[BaseModel], prefix: str, section: str = "", told: dict[str, str] | None = None) -> str:
    rows = _rows(model, prefix, section, {} if told is None else told)
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _rows(model: type[BaseModel], prefix: str, section: str, told: dict[str, str]) -> Iterator[str]:
    """Yield a row per key; a block whose keys were told in another section (`told`) says only where."""
    for field, info in model.model_fields.items():
        inner = blocks(info.annotation) if model not in {ManifestBlock, StyleSpec, TrainBlock} else []
        meaning = _one_line(info.description or "")
        if not meaning and inner:
            meaning = "; or ".join(_one_line(_first_line(block)).rstrip(".") for block in inner) + "."
        keys = [row for block in inner for row in _block_rows(block, f"{prefix}{field}.", len(inner) > 1)]
        other = told.setdefault("\n".join(keys), section) if keys else section
        kind = "block" if inner else _kind(model, field)
        if other != section:
            kind, keys = f"block, its keys as in [{other.rpartition('-')[2]}](#{other})", []
        yield f"| `{prefix}{field}` | {kind} | {_default(info)} | {meaning} |"
        yield from keys


def _block_rows(block: type[BaseModel], prefix: str, one_of_several: bool) -> Iterator[str]:
    for row in _rows(block, prefix, "", {}):
        if not one_of_several:
            yield row
        elif f"{prefix}name`" not in row:
            yield row.replace(" |", f" ({block.model_fields['name'].default}) |", 1)


def _kind(model: type[BaseModel], field: str) -> str:
    """Return the type of a field in words, from its JSON Schema."""
    if model in {ManifestBlock, TrainBlock} and field in _WRITTEN:
        return _WRITTEN[field]
    return _words(model.model_json_schema()["properties"][field])


def _words(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_words(option) for option in schema["anyOf"] if option.get("type") != "null")
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


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = copy.copy(info.default)
    if value is None:
        return ""
    if isinstance(value, BaseModel):
        return f"`{getattr(value, 'name', None) or '{}'}`"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{text}`"


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").split("\n\n")[0]


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
