"""Named presets: the settings of other implementations, each with the source that it was read from.

A preset only fills in settings that the manifest leaves out. Its weights are in the units of that implementation
(`units`), which `nst.losses.units` converts; the row of a cell records the weights in both units.

Absolute weights fit one network only: `gatys` and `jcjohnson` were tuned on Caffe's VGG-19, `crowsonkb` and `pytorch`
on torchvision's VGG-19 and VGG-16. A preset therefore brings its author's network: torchvision's is downloaded; Caffe's
is a file that the manifest names (`backbone: {weights: FILE}`, to which a preset adds `input: caffe`), such as
`vgg19-d01eb7cb.pth` of jcjohnson/pytorch-vgg with `input: caffe_bgr`. On every other network the weights are converted
through energies that were measured on the author's (`energies: author`, `nst.config.energies`). All four authors pool
by maxima, as `backbone.pooling` does by default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nst.config.backbone import DISTILLED, NAMED, BackboneConfig
from nst.config.energies import AUTHORS
from nst.config.layers import reachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nst.config.energies import AuthorNetwork

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
    # pytorch/examples@77f55b9 fast_neural_style: Gram / (C H W) of torchvision's VGG-16, content at relu2_2. Differs:
    # a total variation. There a network paints, whose pictures are smooth; optimised pixels would keep a grain.
    "pytorch": {
        "units": "pytorch",
        "content_layers": {"relu2_2": 1.0},
        "style_layers": dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 1.0),
        "content_weight": 1e5,
        "style_weight": 1e10,
        "tv_weight": 2e-4,
        "pyramid": {"levels": 1},
    },
}


_BLOCKS: Final = frozenset({"optimizer", "pyramid"})
_LAYERS: Final = ("content_layers", "style_layers")


def over_preset(given: dict[str, Any]) -> dict[str, Any]:
    """Return the given settings laid over the settings of the preset that they name.

    The blocks of the optimiser and the pyramid are merged key by key, unless the given block has another name than the
    preset's. Of the backbone what is left out is the author's. Layers of the preset that the `DISTILLED` weights lack
    are left out as those of a default are (`nst.config.layers`). Unless the network is the author's, `energies` becomes
    `author`.
    """
    preset = given["preset"]
    merged = dict(PRESETS[preset])
    for key, value in given.items():
        base = merged.get(key)
        same = (
            isinstance(base, dict)
            and isinstance(value, dict)
            and value.get("name", base.get("name")) == base.get("name")
        )
        merged[key] = {**base, **value} if key in _BLOCKS and same else value  # type: ignore[dict-item]
    merged["backbone"] = backbone = _authors_backbone(AUTHORS[preset], given.get("backbone", {}))
    if isinstance(backbone, dict):
        if backbone["weights"] in DISTILLED:
            merged |= {key: reachable(merged[key]) for key in _LAYERS if key in merged and key not in given}
        if merged["units"] == preset and not _is_authors(AUTHORS[preset], backbone):
            merged.setdefault("energies", "author")
    return merged


def _authors_backbone(author: AuthorNetwork, given: Any) -> Any:
    """Return the given settings of a backbone over those of the author's network; as they are if they are no block."""
    if isinstance(given, BackboneConfig):
        given = given.model_dump()
    given = {"name": given} if isinstance(given, str) else given
    if not isinstance(given, dict):
        return given
    weights = given.get("weights", "torchvision")
    # What comes with nst is a vgg19. A file is taken for the author's, and so for one that expects the author's input.
    name = "vgg19" if weights in DISTILLED else author.architecture
    inputs = author.inputs if weights not in NAMED and given.get("name", name) == name else "torchvision"
    return {"name": name, "weights": weights, "input": inputs, **given}


def _is_authors(author: AuthorNetwork, backbone: Mapping[str, Any]) -> bool:
    """Return whether a backbone is the author's network, as far as its settings tell."""
    name, weights, inputs = (backbone[key] for key in ("name", "weights", "input"))
    if name != author.architecture or weights in ("random", *DISTILLED):
        return False
    return author.inputs == ("torchvision" if weights == "torchvision" else str(inputs).removesuffix("_bgr"))
