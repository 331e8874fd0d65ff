"""Named presets: the settings of other implementations, each with the source that it was read from.

A preset only fills in settings that the manifest leaves out. Its weights are in the units of that implementation
(`units`), which `nst.losses.units` converts; the row of a cell records the weights in both units.

Absolute weights fit one network only: `gatys` and `jcjohnson` were tuned on Caffe's original VGG-19 (`backbone.input:
caffe`), the other two on torchvision's weights. On the normalised VGG-19, whose features are far smaller, the total
variation of `jcjohnson` is worth 1.2e6 relative units against 14 of content, which leaves a blur: use relative weights
with such a network.
"""

from __future__ import annotations

from typing import Any, Final

_RELU_X_1: Final = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), 1.0)

PRESETS: Final[dict[str, dict[str, Any]]] = {
    # crowsonkb/style-transfer-pytorch@e7e2c71 style_transfer/style_transfer.py: W2 style loss, Adam, sizes by sqrt(2).
    # Differs: crowsonkb replicates the border in conv1_1 only (`backbone.padding` holds for all), and starts at 128 px.
    "crowsonkb": {
        "units": "crowsonkb",
        "style_representation": "moments",
        "style_layers": {
            "relu1_1": 256 / 341,
            "relu2_1": 64 / 341,
            "relu3_1": 16 / 341,
            "relu4_1": 4 / 341,
            "relu5_1": 1 / 341,
        },
        "content_weight": 0.015,
        "style_weight": 1.0,
        "tv_weight": 2.0,
        "tv": "nine_point",
        "init": "content",
        "optimizer": {"name": "adam", "learning_rate": 0.02, "beta1": 0.9, "beta2": 0.99, "ema": 0.99},
        "steps": 500,
        "pyramid": {"levels": 5, "factor": 0.7071067811865476, "first_steps": 1000, "warm_start": True},
    },
    # leongatys/PytorchNeuralStyleTransfer@be6c8e2 NeuralStyleTransfer.ipynb: Gram / (H W), layer weights 1e3 / C^2.
    "gatys": {
        "units": "gatys",
        "style_layers": _RELU_X_1,
        "content_weight": 1.0,
        "style_weight": 1000.0,
        "tv_weight": 0.0,
        "init": "content",
        "optimizer": {"name": "lbfgs", "history": 100},
        "pyramid": {"levels": 1},
        "steps": 500,
    },
    # jcjohnson/neural-style@07c4b82 neural_style.lua: Gram / (C H W), squared TV on the 0..255 image.
    "jcjohnson": {
        "units": "jcjohnson",
        "style_layers": _RELU_X_1,
        "content_weight": 5.0,
        "style_weight": 100.0,
        "tv_weight": 0.001,
        "init": "noise",
        "optimizer": {"name": "lbfgs", "history": 100},
        "pyramid": {"levels": 1},
        "steps": 1000,
    },
    # pytorch/examples@77f55b9 fast_neural_style: Gram / (C H W) of torchvision's VGG-16, content at relu2_2.
    "pytorch": {
        "units": "pytorch",
        "backbone": {"name": "vgg16"},
        "content_layers": {"relu2_2": 1.0},
        "style_layers": dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 1.0),
        "content_weight": 1e5,
        "style_weight": 1e10,
        "tv_weight": 0.0,
        "pyramid": {"levels": 1},
    },
}


_BLOCKS: Final = frozenset({"backbone", "optimizer", "pyramid"})


def over_preset(given: dict[str, Any]) -> dict[str, Any]:
    """Return the given settings laid over the settings of the preset that they name.

    Blocks are merged key by key, unless the given block has another name than the preset's: `preset: pytorch` with
    `backbone: {weights: x}` stays a VGG-16.
    """
    merged = dict(PRESETS[given["preset"]])
    for key, value in given.items():
        base = merged.get(key)
        same = (
            isinstance(base, dict)
            and isinstance(value, dict)
            and value.get("name", base.get("name")) == base.get("name")
        )
        merged[key] = {**base, **value} if key in _BLOCKS and same else value  # type: ignore[dict-item]
    return merged
