"""The modules of torch7's package `nn` that transform networks are made of, by their names there.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from nst.errors import InputError
from nst.networks.importing.taking import take
from nst.networks.norm import InstanceNorm

_DEEPEST: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """A module, and what a network has to know of it.

    Attributes:
        module: The module.
        stride: Number of pixels at whose multiples its coarsest positions lie.
        reach: Distance in pixels within which a result depends on the picture, apart from the statistics of norms.
        smallest: Smallest number of rows and columns of a picture that it can reflect.
    """

    module: nn.Module
    stride: int
    reach: int
    smallest: int


def module_from(described: Mapping[str, Any], tensors: Mapping[str, Tensor], *, evaluates: bool) -> Built:
    """Return the network that is described.

    Args:
        described: The outermost module: its `type`, `name`, `settings` and `modules`.
        tensors: Weights, named by the module's name and the field.
        evaluates: Whether norms of batches use the statistics of the training, or those of each picture.

    Raises:
        InputError: A module is not known, or a tensor does not fit.
        KeyError, TypeError, ValueError: The description is damaged.
    """
    builder = _Builder(tensors, evaluates=evaluates)
    module = builder.build(described, 0)
    return Built(module, round(builder.coarsest), round(builder.reach), round(builder.smallest))


class _Builder:
    """Builds modules from the first to the last, and keeps count of where in the picture their positions lie."""

    def __init__(self, tensors: Mapping[str, Tensor], *, evaluates: bool) -> None:
        self.tensors, self.evaluates = tensors, evaluates
        self.stride, self.coarsest, self.reach, self.smallest = 1.0, 1.0, 0.0, 1.0

    def build(self, described: Mapping[str, Any], depth: int) -> nn.Module:
        """Return a module, and those in it."""
        kind, name, settings = described["type"], described["name"], described["settings"]
        if depth > _DEEPEST:
            raise InputError("the network's modules lie too deep in each other")
        if kind in _CONTAINERS:
            return self._container(kind, described["modules"], depth)
        if kind not in _BUILDERS:
            raise InputError(
                f"the network has the module {kind[:60]} of torch7, which is not known",
                hint=f"known are {', '.join(sorted((*_CONTAINERS, *_BUILDERS)))}",
            )
        return _BUILDERS[kind](self, name, settings)

    def widened(self, half: float, factor: float = 1.0) -> None:
        """Count positions that a module sees on each side, and by which factor the next positions lie apart."""
        self.reach += half * self.stride
        self.stride *= factor
        self.coarsest = max(self.coarsest, self.stride)

    def weight(self, name: str, field: str, shape: tuple[int, ...] | None = None) -> Tensor:
        """Return a weight of a module, of any shape of four dimensions if none is given."""
        key = f"{name}.{field}"
        if shape is None:
            shape = tuple(self.tensors[key].shape) if key in self.tensors else (1, 1, 1, 1)
            if len(shape) != 4:
                raise InputError(f"{key} has shape {shape}; expected four dimensions")
        return take(self.tensors, key, shape)

    def _container(self, kind: str, inner: list[Mapping[str, Any]], depth: int) -> nn.Module:
        if kind == "Sequential":
            return nn.Sequential(*(self.build(part, depth + 1) for part in inner))
        start, ends, modules = (self.stride, self.reach), [], []
        for part in inner:
            self.stride, self.reach = start
            modules.append(self.build(part, depth + 1))
            ends.append((self.stride, self.reach))
        self.stride, self.reach = ends[0][0], max(reach for _, reach in ends)
        return _Concat(modules) if kind == "Concat" else _Table(modules)


_CONTAINERS: Final = ("Sequential", "Concat", "ConcatTable")


class _Table(nn.ModuleList):
    """Computes each of its modules on the same map."""

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        """Return the results."""
        return [module(x_BCHW) for module in self]


class _Concat(_Table):
    """Computes each of its modules on the same map, and puts their channels behind one another."""

    def forward(self, x_BCHW: Tensor) -> Tensor:  # type: ignore[override]  # torch leaves results open
        """Return the channels of all results."""
        return torch.cat([module(x_BCHW) for module in self], 1)


class _Sum(nn.Module):
    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return the sum of the results of a table."""
        return torch.stack(maps).sum(0)


class _Shave(nn.Module):
    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the map without so many rows and columns at each border."""
        return x_BCHW[..., self.side : -self.side, self.side : -self.side] if self.side else x_BCHW


class _Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the map times the factor."""
        return x_BCHW * self.factor


def _whole(settings: Mapping[str, Any], name: str, least: int = 0) -> int:
    """Return a setting of a module that is a small whole number; one that is missing is `least`."""
    found = settings.get(name, least)
    if not isinstance(found, int) or not least <= found <= 256:
        raise InputError(f"a module has {name} {found!r:.20}; expected a whole number from {least} to 256")
    return found


def _pair(settings: Mapping[str, Any], rows: str, columns: str, least: int = 0) -> tuple[int, int]:
    return _whole(settings, rows, least), _whole(settings, columns, least)


def _convolution(builder: _Builder, name: str, settings: Mapping[str, Any]) -> nn.Module:
    weight = builder.weight(name, "weight")
    strides = _pair(settings, "dH", "dW", least=1)
    pads = _pair(settings, "padH", "padW") if "padH" in settings else _pair(settings, "padding", "padding")
    if settings.get("groups", 1) != 1 or strides[0] != strides[1]:
        raise InputError("the network has a convolution in groups, or of two strides, which is not known")
    rows, columns = weight.shape[2:]
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], (rows, columns), strides, pads)
    builder.widened(weight.shape[2] // 2, strides[0])
    return _filled(builder, name, conv, weight)


def _full_convolution(builder: _Builder, name: str, settings: Mapping[str, Any]) -> nn.Module:
    weight = builder.weight(name, "weight")
    strides, pads = _pair(settings, "dH", "dW", least=1), _pair(settings, "padH", "padW")
    if strides[0] != strides[1]:
        raise InputError("the network has a convolution of two strides, which is not known")
    added = _pair(settings, "adjH", "adjW")
    rows, columns = weight.shape[2:]
    conv = nn.ConvTranspose2d(weight.shape[0], weight.shape[1], (rows, columns), strides, pads, added)
    builder.widened(weight.shape[2] // 2, 1.0 / strides[0])
    return _filled(builder, name, conv, weight)


def _filled(builder: _Builder, name: str, conv: nn.Module, weight: Tensor) -> nn.Module:
    """Return a convolution with its weights."""
    bias = conv.get_parameter("bias")
    conv.get_parameter("weight").data = weight
    bias.data = builder.weight(name, "bias", tuple(bias.shape))
    return conv


def _norm(builder: _Builder, name: str, settings: Mapping[str, Any]) -> nn.Module:
    """Return a norm with the statistics of each picture."""
    key = f"{name}.weight" if f"{name}.weight" in builder.tensors else f"{name}.running_mean"
    if key not in builder.tensors:
        raise InputError(f"the weights lack {name}.weight", hint="is the file damaged?")
    channels = builder.tensors[key].numel()
    norm = InstanceNorm(channels, epsilon=float(settings.get("eps", 1e-5)))
    if key.endswith(".weight"):
        norm.scale.data = builder.weight(name, "weight", (channels,))[None]
        norm.shift.data = builder.weight(name, "bias", (channels,))[None]
    return norm


def _batch_norm(builder: _Builder, name: str, settings: Mapping[str, Any]) -> nn.Module:
    """Return a norm with the statistics of the training, or of each picture where the network asks for that."""
    if not builder.evaluates:
        return _norm(builder, name, settings)
    epsilon = float(settings.get("eps", 1e-5))
    channels = builder.tensors[f"{name}.running_mean"].numel() if f"{name}.running_mean" in builder.tensors else 1
    norm = nn.BatchNorm2d(channels, epsilon)
    norm.running_mean = builder.weight(name, "running_mean", (channels,))
    if f"{name}.running_std" in builder.tensors:  # before 2016 the file held 1 / sqrt(variance + epsilon)
        norm.running_var = builder.weight(name, "running_std", (channels,)).pow(-2) - epsilon
    else:
        norm.running_var = builder.weight(name, "running_var", (channels,))
    if f"{name}.weight" in builder.tensors:
        norm.weight.data = builder.weight(name, "weight", (channels,))
        norm.bias.data = builder.weight(name, "bias", (channels,))
    return norm


def _padding(kind: type[nn.ReflectionPad2d | nn.ReplicationPad2d | nn.ZeroPad2d]) -> _Build:
    def build(builder: _Builder, name: str, settings: Mapping[str, Any]) -> nn.Module:
        del name
        sides = (*_pair(settings, "pad_l", "pad_r"), *_pair(settings, "pad_t", "pad_b"))
        if kind is nn.ReflectionPad2d:
            builder.smallest = max(builder.smallest, (max(sides) + 1) * builder.stride)
        return kind(sides)

    return build


def _pooling(kind: type[nn.MaxPool2d | nn.AvgPool2d]) -> _Build:
    def build(builder: _Builder, name: str, settings: Mapping[str, Any]) -> nn.Module:
        del name
        sides, strides = _pair(settings, "kH", "kW", least=1), _pair(settings, "dH", "dW", least=1)
        builder.widened(sides[0] / 2, strides[0])
        return kind(sides, strides, _pair(settings, "padH", "padW"), ceil_mode=bool(settings.get("ceil_mode", False)))

    return build


def _doubling(builder: _Builder, name: str, settings: Mapping[str, Any]) -> nn.Module:
    del name
    factor = _whole(settings, "scale_factor", least=1)
    builder.widened(0, 1.0 / factor)
    return nn.Upsample(scale_factor=factor, mode="nearest")


def _simple(make: Callable[[Mapping[str, Any]], nn.Module]) -> _Build:
    """Return a builder of a module without weights that looks at single positions."""
    return lambda _builder, _name, settings: make(settings)


_Build = Callable[[_Builder, str, Mapping[str, Any]], nn.Module]

_BUILDERS: Final[dict[str, _Build]] = {
    "SpatialConvolution": _convolution,
    "SpatialConvolutionMM": _convolution,
    "SpatialFullConvolution": _full_convolution,
    "InstanceNormalization": _norm,
    "SpatialBatchNormalization": _batch_norm,
    "SpatialReflectionPadding": _padding(nn.ReflectionPad2d),
    "SpatialReplicationPadding": _padding(nn.ReplicationPad2d),
    "SpatialZeroPadding": _padding(nn.ZeroPad2d),
    "SpatialMaxPooling": _pooling(nn.MaxPool2d),
    "SpatialAveragePooling": _pooling(nn.AvgPool2d),
    "SpatialUpSamplingNearest": _doubling,
    "ReLU": _simple(lambda _: nn.ReLU()),
    "LeakyReLU": _simple(lambda settings: nn.LeakyReLU(float(settings.get("negval", 0.01)))),
    "Tanh": _simple(lambda _: nn.Tanh()),
    "CAddTable": _simple(lambda _: _Sum()),
    "MulConstant": _simple(lambda settings: _Times(float(settings["constant_scalar"]))),
    "ShaveImage": _simple(lambda settings: _Shave(_whole(settings, "size"))),
    "Identity": _simple(lambda _: nn.Identity()),
    "TotalVariation": _simple(lambda _: nn.Identity()),
    "TVLoss": _simple(lambda _: nn.Identity()),
    "DummyGradOutput": _simple(lambda _: nn.Identity()),
}
"""Builders of the modules that are known, by the names of their classes without the package."""
