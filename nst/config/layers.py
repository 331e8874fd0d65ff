"""Which settings name layers, and what they are by default where the weights do not reach the usual ones."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

from nst.config.architectures import layers_of
from nst.config.backbone import DEEPEST, DISTILLED
from nst.config.fields import LayerMark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo


def reachable_defaults(fields: Mapping[str, FieldInfo], raw: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield a value for each setting of layers that is left out and whose default the distilled weights do not reach.

    Args:
        fields: All settings.
        raw: The settings as written.
    """
    backbone = raw.get("backbone", fields["backbone"].default if "backbone" in fields else None)
    weights = backbone.get("weights") if isinstance(backbone, dict) else getattr(backbone, "weights", None)
    if weights not in DISTILLED:
        return
    for name, field in fields.items():
        if name not in raw and holds_layers(field) and (value := reachable(field.default)) != field.default:
            yield name, value


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


def _marks_layers(annotation: Any) -> bool:
    inner = typing.get_args(annotation)
    return any(isinstance(part, LayerMark) or _marks_layers(part) for part in inner)
