"""The layers of the backbone that the pictures of a configuration are measured at, as far as planning can know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nst.config.architectures import layers_of
from nst.config.layers import holds_layers
from nst.config.method import Method
from nst.config.training import Training

if TYPE_CHECKING:
    from nst.config.block import Settings


def measured_layers(config: Settings, backbone: str) -> frozenset[str]:
    """Return the layers that the backbone certainly has to compute; all layers where the settings name none.

    Layers of settings without effect are left out, and those of the content where it may be a mask without an image.

    Args:
        config: Settings of a method or of a training.
        backbone: Name of its backbone.
    """
    fields = type(config).model_fields
    values = {field: getattr(config, field) for field in fields}
    named = [field for field, info in fields.items() if holds_layers(info)]
    without = {rule.setting for rule in config.NO_EFFECT if rule.setting in named and rule.holds(values)}
    if _may_lack_photographs(config):
        without.add("content_layers")
    found = [[value] if isinstance(value := values[field], str) else value for field in named if field not in without]
    return frozenset(layer for layers in found for layer in layers) if named else frozenset(layers_of(backbone))


def _may_lack_photographs(config: Settings) -> bool:
    if isinstance(config, Method):
        return config.masks in {"needed", "content"}
    return isinstance(config, Training) and not config.photographs
