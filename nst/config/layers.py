"""Which settings name layers, and what they are by default where the backbone does not have the usual ones."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any, Final, Literal

from nst.config.architectures import RESNET_DEPTHS, layers_of
from nst.config.backbone import DEEPEST, DISTILLED
from nst.config.fields import LayerMark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo


_OF_RESNET: Final = {
    "1": "relu", "2": "layer1", "3": "layer2", "4": "layer3", "5": "layer4",
    "pool1": "maxpool", "pool2": "layer1", "pool3": "layer2", "pool4": "layer3", "pool5": "layer4",
}  # fmt: skip
"""The layers of a ResNet that stand for those of a VGG: by the number of the block, and of pooling layers, which end a
block, by the stride."""


def reachable_defaults(fields: Mapping[str, FieldInfo], raw: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield a value for each setting of layers that is left out and whose default the backbone does not have.

    Args:
        fields: All settings.
        raw: The settings as written.
    """
    backbone = raw.get("backbone", fields["backbone"].default if "backbone" in fields else None)
    for name, field in fields.items():
        if name in raw or not holds_layers(field) or encodes(field):
            continue
        if (value := standing_for(field.default, backbone)) != field.default:
            yield name, value


def standing_for(layers: str | Mapping[str, float], backbone: Any) -> Any:
    """Return the layers of a backbone that stand for the default ones, which are those of a VGG.

    Args:
        layers: One layer, or several with their weights.
        backbone: The setting `backbone`, as it is written or validated.

    Example:
        >>> standing_for({"relu3_1": 0.5, "relu4_1": 0.5}, "resnet18")
        {'layer2': 0.5, 'layer3': 0.5}
    """
    setting = {"name": backbone} if isinstance(backbone, str) else backbone
    name, weights = (
        setting.get(key) if isinstance(setting, dict) else getattr(setting, key, None) for key in ("name", "weights")
    )
    if isinstance(name, str) and name in RESNET_DEPTHS:
        if isinstance(layers, str):
            return _of_resnet(layers)
        return {_of_resnet(layer): weight for layer, weight in layers.items()}
    return reachable(layers) if isinstance(weights, str) and weights in DISTILLED else layers


def _of_resnet(layer: str) -> str:
    return _OF_RESNET.get(layer, "") or _OF_RESNET[layer[4]]


def reachable(layers: str | Mapping[str, float]) -> Any:
    """Return what stands for some layers, or for one, where the weights are distilled ones (`DISTILLED`).

    Of several layers those remain that the weights have, with the same sum of weights; if none remains, and for a
    single layer, it is the last layer that they have.
    """
    order = layers_of("vgg19")
    reached = set(order[: order.index(DEEPEST) + 1])
    if isinstance(layers, str):
        return layers if layers in reached else DEEPEST
    if not set(layers) - reached:
        return layers
    kept = {layer: weight for layer, weight in layers.items() if layer in reached}
    total, rest = sum(layers.values()), sum(kept.values())
    return {layer: weight * total / rest for layer, weight in kept.items()} or {DEEPEST: total}


def holds_layers(field: FieldInfo) -> bool:
    """Return whether the texts of a setting are names of layers."""
    return any(isinstance(mark, LayerMark) for mark in field.metadata) or _marks_layers(field.annotation)


def encodes(field: FieldInfo) -> bool:
    """Return whether a setting is the layer at which a network's encoder ends: decoders are made for those of a VGG."""
    return typing.get_origin(field.annotation) is Literal


def _marks_layers(annotation: Any) -> bool:
    inner = typing.get_args(annotation)
    return any(isinstance(part, LayerMark) or _marks_layers(part) for part in inner)
