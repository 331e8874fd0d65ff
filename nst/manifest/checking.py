"""Validation that finds every fault: pydantic's, conversions that it makes silently, layers of other backbones."""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from nst.config.architectures import layers_of
from nst.config.layers import encodes, holds_layers
from nst.config.method import Method
from nst.manifest.explain import explain
from nst.yaml.problems import Fault, wrong_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nst.config.block import Settings
    from nst.yaml.positions import Path

Checked = TypeVar("Checked", bound=BaseModel)

_ROUNDS: Final = 4
"""Validations of one value, each without the faulty parts of the last."""


def check(
    settings: type[Checked], raw: Any, stand_ins: Mapping[str, Any] | None = None
) -> tuple[Checked | None, list[Fault]]:
    """Return a value validated, None if it has faults, and all its faults, also those that pydantic alone forgives.

    Faulty parts are taken out and the rest is validated again, so that one fault does not hide another.

    Args:
        settings: What the value is validated as.
        raw: The value as written.
        stand_ins: Values of required keys, for the validations of the rest.
    """
    faults: list[Fault] = []
    removed: list[Path] = []
    pruned = raw
    for _ in range(_ROUNDS):
        try:
            checked = settings.model_validate(pruned)
        except ValidationError as error:
            found = []
            for details in error.errors(include_url=False):
                path, value = locate(tuple(details["loc"]), pruned)
                if details["type"] == "too_short" and value:
                    continue  # pydantic counts only the items without faults
                fault = explain(details, path, value, settings)
                # What is missing since it was taken out is no fault of the user's.
                ours = any(path[: len(fault.path)] == fault.path for path in removed)
                if pruned is raw or not (ours or fault.kind == "missing"):
                    faults.append(fault)
                if fault.kind != "missing" or fault.path:
                    found.append(fault.path)
            removed += found
            pruned = _without(pruned, found)
            if isinstance(pruned, dict):
                pruned = {**(stand_ins or {}), **pruned}
        else:
            faults += check_loose(pruned, checked)
            return (None if faults else checked), _without_misspelt(faults)
    return None, _without_misspelt(faults)


def _without_misspelt(faults: Sequence[Fault]) -> list[Fault]:
    """Return the faults without those of missing keys that are there under a misspelt name."""
    misspelt = {(*fault.path[:-1], fault.meant) for fault in faults if fault.kind == "unknown" and fault.meant}
    return [fault for fault in faults if fault.kind != "missing" or (*fault.path, fault.meant) not in misspelt]


def check_loose(raw: Any, checked: Any, path: Path = ()) -> Iterator[Fault]:
    """Yield a fault for values that pydantic converted more generously than readers of YAML expect.

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
        yield wrong_type(path, raw, type(checked))


def check_layers(raw: Mapping[str, Any], config: Settings) -> Iterator[Fault]:
    """Yield a fault for every layer that the backbone does not have; one fault for all settings that are left out.

    Args:
        raw: The settings as written.
        config: The same, validated.
    """
    if not hasattr(config, "backbone"):
        return
    name = config.backbone.name
    own = layers_of(name)
    known = f"{name} has the layers {', '.join(own)}"
    preset, left_out = getattr(config, "preset", None), dict[str, list[str]]()
    for setting in _layer_settings(type(config)):
        value = getattr(config, setting)
        foreign = [layer for layer in ([value] if isinstance(value, str) else value) if layer not in own]
        written = raw.get(setting)
        if foreign and encodes(type(config).model_fields[setting]):
            message = f"networks of this family encode pictures by a VGG, up to one of its layers; found {name}"
            yield Fault(("backbone", "name"), message, "choose vgg19 or vgg16")
            return
        if foreign and written is None:
            left_out[setting] = foreign
            continue
        for layer in foreign:
            path: Path = (setting, written.index(layer)) if isinstance(written, list) else (setting,)
            path = (setting, layer) if isinstance(written, dict) else path
            yield Fault(path, f"{name} has no layer {layer!r}", known, key=isinstance(written, dict))
    if left_out:
        defaults = " and ".join(f"{setting!r} is {', '.join(foreign)}" for setting, foreign in left_out.items())
        origin = f"with preset {preset!r}" if preset else "by default"
        layers = "a layer" if sum(map(len, left_out.values())) == 1 else "layers"
        hint = f"set {' and '.join(left_out)}: {known}"
        yield Fault(("backbone", "name"), f"{origin} {defaults}, {layers} that {name} does not have", hint)


def check_conflicts(config: Settings) -> Iterator[Fault]:
    """Yield a fault for every setting of a method that does not fit to its others (`Method.conflicts`)."""
    if isinstance(config, Method):
        for setting, message, hint in config.conflicts():
            yield Fault((setting,), message, hint)


@cache
def _layer_settings(settings: type[Settings]) -> list[str]:
    return [setting for setting, field in settings.model_fields.items() if holds_layers(field)]


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
