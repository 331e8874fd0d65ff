"""The network in a .t7 file of torch7: its modules as a description in JSON, and their weights as arrays by name.

A weight's name is the place of its module, counted from 0 and through containers, and its field: `0.weight`,
`3.1.bias`. That is how PyTorch names them, whose `nn.Sequential` counts as torch7's does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nst.errors import InputError
from tasks.inputs.torch7 import Torch7Object, read_torch7

if TYPE_CHECKING:
    from collections.abc import Mapping

_WEIGHTS: Final = ("weight", "bias", "running_mean", "running_var", "running_std")
"""Fields of modules that are kept as arrays."""

_MOST_MODULES: Final = 2000

_MATRICES: Final = ("SpatialConvolutionMM", "SpatialConvolution")
"""Modules whose weights may be written as a matrix, a row for each filter."""


def modules_in(data: bytes, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the description of the network in a file, and its weights in float32.

    The description has `model`, a module: its `type` (the name of its class without the package), its numbers, texts
    and booleans under their names as `settings`, its `modules`, and its `name`, with which the names of its weights
    begin. A table with a network in it, as fast-neural-style writes, has `preprocessing` too.

    Args:
        data: The file.
        name: Its path or URI.

    Raises:
        InputError: The file is damaged, says too much, or holds no network.
    """
    try:
        found = read_torch7(data)
    except ValueError as error:
        raise InputError(f"{name} is not a file of torch7 that can be read: {error}") from error
    about: dict[str, Any] = {}
    if isinstance(found, dict) and isinstance(found.get("model"), Torch7Object):
        options = found.get("opt")
        preprocessing = options.get("preprocessing") if isinstance(options, dict) else None
        about["preprocessing"] = preprocessing if isinstance(preprocessing, str) else "vgg"
        found = found["model"]
    if not isinstance(found, Torch7Object) or "modules" not in found.fields:
        what = found.name if isinstance(found, Torch7Object) else type(found).__name__
        raise InputError(f"{name} holds no network of torch7: found {what[:80]}", hint="expected an nn.Sequential")
    collector = _Collector(name, len(data))
    about["model"] = collector.describe(found, "", 0)
    return about, collector.weights


def backbone_weights(about: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the weights of a plain chain of layers under torchvision's names, which count layers as torch7 does."""
    chain = {f"{module['name']}." for module in about["model"]["modules"] if "Convolution" in module["type"]}
    kept = [name for name in weights if name.startswith(tuple(chain)) and name.count(".") == 1]
    return {f"features.{name}": weights[name] for name in kept}


class _Collector:
    def __init__(self, file: str, size: int) -> None:
        self.weights: dict[str, np.ndarray] = {}
        self._file = file
        self._bytes_left = size
        self._left = _MOST_MODULES

    def describe(self, module: Torch7Object, name: str, depth: int) -> dict[str, Any]:
        """Return the description of a module and of those in it, and collect their weights."""
        self._left -= 1
        if self._left < 0 or depth > 30:  # 30: modules may hold each other in circles
            raise InputError(f"{self._file} holds more modules than any network")
        kind = module.name.rpartition(".")[2]
        plain = {
            key: value
            for key, value in module.fields.items()
            if isinstance(key, str) and isinstance(value, int | float | str) and len(str(value)) < 100
        }
        for field in _WEIGHTS:
            array = module.fields.get(field)
            if isinstance(array, np.ndarray) and array.size:
                self.weights[f"{name}.{field}"] = self._weight(kind, plain, field, array)
        parts = module.fields.get("modules")
        inner = [parts[i] for i in sorted(key for key in parts if type(key) is int)] if isinstance(parts, dict) else []
        if not all(isinstance(part, Torch7Object) for part in inner):
            raise InputError(f"{self._file} holds a {module.name[:80]} of what are no modules")
        return {
            "type": kind,
            "name": name,
            "settings": plain,
            "modules": [self.describe(p, f"{name}.{i}".lstrip("."), depth + 1) for i, p in enumerate(inner)],
        }

    def _weight(self, kind: str, settings: Mapping[str, Any], field: str, array: np.ndarray) -> np.ndarray:
        if kind in _MATRICES and field == "weight" and array.ndim == 2:
            sides: list[Any] = [settings.get(side) for side in ("kH", "kW")]
            if not all(isinstance(side, int) and side > 0 for side in sides) or array.shape[1] % math.prod(sides):
                raise InputError(f"{self._file} holds a {kind} whose weights do not fit its sides")
            array = array.reshape(array.shape[0], -1, *sides)
        self._bytes_left -= array.nbytes
        if self._bytes_left < 0:
            raise InputError(
                f"{self._file} names more weights than it holds", hint="do some of its modules share them?"
            )
        with np.errstate(over="ignore", invalid="ignore"):  # what is then not finite is refused with the network
            return np.ascontiguousarray(array, np.float32)
