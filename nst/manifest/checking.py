"""Validation that finds every fault: pydantic's, conversions that it would silently make, layers of other backbones."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from nst.config.architectures import layers_of
from nst.manifest.explain import Fault, explain, found_expected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nst.config.block import Settings
    from nst.yaml.positions import Path

Model = TypeVar("Model", bound=BaseModel)

_ROUNDS: Final = 4
"""Validations of one value, each without the faulty parts of the last."""


def check(model: type[Model], raw: Any, stand_ins: Mapping[str, Any] | None = None) -> tuple[Model | None, list[Fault]]:
    """Return the validated model and every fault of `raw`, those included that pydantic alone would forgive.

    Faulty parts are taken out and the rest is validated again, so that one fault does not hide another; `stand_ins`
    fill required keys then. The model is None if there is any fault.
    """
    faults: list[Fault] = []
    removed: list[Path] = []
    pruned = raw
    for _ in range(_ROUNDS):
        try:
            checked = model.model_validate(pruned)
        except ValidationError as error:
            found = []
            for details in error.errors(include_url=False):
                path, value = locate(tuple(details["loc"]), pruned)
                if details["type"] == "too_short" and value:
                    continue  # pydantic counts only the items without faults
                fault = explain(details, path, value, model)
                # What is missing since it was taken out is no fault of the user's.
                ours = any(path[: len(fault.path)] == fault.path for path in removed)
                if pruned is raw or not (ours or details["type"] == "missing"):
                    faults.append(fault)
                if details["type"] != "missing" or fault.path:
                    found.append(fault.path)
            faults = [fault for fault in faults if not _misspelt(fault, faults)]
            removed += found
            pruned = _without(pruned, found)
            if isinstance(pruned, dict):
                pruned = {**(stand_ins or {}), **pruned}
        else:
            faults += check_loose(pruned, checked)
            return (None if faults else checked), faults
    return None, faults


def _misspelt(fault: Fault, faults: list[Fault]) -> bool:
    """Return whether a missing key is there under a name that is told already."""
    if not fault.message.endswith(" is missing"):
        return False
    meant = f"did you mean {fault.message.removeprefix('the key ').removesuffix(' is missing')}?"
    return any(other.hint == meant and other.path[:-1] == fault.path for other in faults)


def check_loose(raw: Any, checked: Any, path: Path = ()) -> Iterator[Fault]:
    """Yield a fault for values that pydantic converted more generously than YAML readers expect.

    Text never counts as a number or a truth value, true is not 1, and 0 is not false.
    """
    if isinstance(raw, dict):
        for key, value in raw.items():
            inner = checked.get(key) if isinstance(checked, dict) else getattr(checked, key, None)
            yield from check_loose(value, inner, (*path, key))
    elif isinstance(raw, list):
        if isinstance(checked, list | tuple):
            for index, (value, inner) in enumerate(zip(raw, checked, strict=False)):
                yield from check_loose(value, inner, (*path, index))
    elif isinstance(checked, bool | int | float) and (
        isinstance(raw, str) or isinstance(raw, bool) != isinstance(checked, bool)
    ):
        kinds = {bool: "true or false", int: "a whole number", float: "a number"}
        yield Fault(path, *found_expected(raw, kinds[type(checked)]))


def check_layers(raw: Mapping[str, Any], config: Settings) -> Iterator[Fault]:
    """Yield a fault for every layer that the backbone does not have; for a setting that is not given, one.

    Args:
        raw: The settings as written.
        config: The same, validated: layers stand in the fields `layer`, `layers` and `..._layers`.
    """
    if not hasattr(config, "backbone"):
        return
    name = config.backbone.name
    own = layers_of(name)
    known = f"{name} has {', '.join(own)}"
    for field in type(config).model_fields:
        if field != "layer" and not field.endswith("layers"):
            continue
        value = getattr(config, field)
        foreign = [layer for layer in ([value] if isinstance(value, str) else value) if layer not in own]
        written = raw.get(field)
        if foreign and written is None:
            message = f"{field!r} is {', '.join(foreign)} where it is not given, which {name} does not have"
            yield Fault(("backbone", "name"), message, f"name it; {known}")
            continue
        for layer in foreign:
            path: Path = (field, written.index(layer)) if isinstance(written, list) else (field,)
            path = (field, layer) if isinstance(written, dict) else path
            yield Fault(path, f"{name} has no layer {layer!r}", known, key=isinstance(written, dict))


def _without(raw: Any, paths: list[Path]) -> Any:
    """Return `raw` without the mapping keys at `paths`; an item of a list goes with its whole list."""
    pruned = copy.deepcopy(raw)
    for path in paths:
        end = len(path)
        while end and isinstance(path[end - 1], int):
            end -= 1
        block = pruned
        for part in path[: end - 1]:
            if isinstance(block, dict):
                block = block.get(part)
            else:
                block = block[part] if isinstance(block, list) and isinstance(part, int) else None
        if end and isinstance(block, dict):
            block.pop(path[end - 1], None)
    return pruned


def locate(loc: tuple[str | int, ...], raw: Any) -> tuple[Path, Any]:
    """Return the path in the document that a pydantic location means, and the value there; union tags are skipped."""
    path: Path = ()
    value = raw
    for part in loc:
        if isinstance(value, dict) and part in value:
            path, value = (*path, part), value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            path, value = (*path, part), value[part]
        elif isinstance(value, list) and part in value:  # a list of layers that became a mapping
            path, value = (*path, value.index(part)), part
    return path, value
