"""The grammar of manifests as JSON Schema, for editors, generated from the models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nst.config import METHOD_CONFIGS
from nst.config.start import StartPicture
from nst.config.training import TRAINING_CONFIGS
from nst.manifest.blocks import ManifestBlock
from nst.manifest.methods import paths
from nst.manifest.training import TrainBlock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

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
        if "uri" in keys and target["title"] != StartPicture.__name__:
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
