"""Settings that several methods have: their types, bounds and descriptions, written once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nst.config.architectures import LAYERS

Needs = frozenset[Literal["content", "style"]]
"""The kinds of images that a cell is made from."""

Mix = Literal["targets", "losses", "sum"]
"""How several style images are mixed into one style: their targets are averaged; their losses are averaged; or their
Gram matrices are added, multiplied by their weights and divided by nothing."""

ClipFormat = Literal["h264", "vp9", "av1", "ffv1", "gif", "webp"]
"""How a clip is encoded: H.264, VP9 or AV1 in MP4, lossless FFV1 in Matroska, GIF, or animated WebP."""

Representation = Literal["gram", "moments", "sliced", "histogram"]
"""Which statistics of the features a style loss compares (`nst.losses.style.STYLE_LOSSES`)."""

Color = Annotated[
    Literal["style", "luminance", "oklab", "histogram", "histogram_after"],
    Field(
        description="Colours of the result. `style`: those of the style. All others are those of the content. "
        "`luminance`: only the luminance of the stylized picture is kept (Gatys et al. 2016b). `oklab`: only its "
        "lightness in OkLab is kept (Ottosson 2020), which follows the eye more closely; chroma falls where sRGB has "
        "less of it at that lightness. `histogram`: the style image is given the mean and covariance of the content's "
        "colours beforehand (Gatys et al. 2016b). `histogram_after`: the finished picture is given them."
    ),
]
"""Whose colours the result has (`nst.pictures.color`)."""

Weight = Annotated[float, Field(ge=0, le=1e15)]
"""Weight of a loss; 0 drops the loss."""

SteadyWeight = Annotated[
    Weight,
    Field(
        description="Weight of the temporal loss of a training, which needs no video: what the network makes of a "
        "photograph that is moved along a random smooth flow, with a little noise, is compared with its picture moved "
        "in the same way (mean absolute difference; Wang et al. 2020, ReReVST; CAP-VSTNet). The network then flickers "
        "less on clips. A step takes about twice the time."
    ),
]
"""Weight of the loss of `nst.training.fake_motion`."""

Pixels = Annotated[int, Field(ge=16, le=16384)]
"""A length in pixels."""


class LayerMark:
    """Marks a text as the name of a layer, so that messages and checks need not guess that from the field's name."""


LayerName = Annotated[str, Field(pattern=rf"^({'|'.join(LAYERS)})$"), LayerMark()]
"""Name of a layer of any backbone (`nst.config.architectures`). Whether the chosen backbone has it is checked later."""


def _layer_weights(value: Any) -> Any:
    """Accept a list of layers as equal weights that add up to one."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple) and value and all(isinstance(layer, str) for layer in value):
        return dict.fromkeys(value, 1.0 / len(value))
    return value


EncoderLayer = Annotated[Literal["relu1_1", "relu2_1", "relu3_1", "relu4_1"], LayerMark()]
"""Layer at which the encoder of a network ends; `nst.networks` has a decoder from each of them."""

LayerWeights = Annotated[dict[LayerName, Weight], BeforeValidator(_layer_weights), Field(min_length=1)]
"""Layers with the weight of each."""

Seed = Annotated[int, Field(ge=0, lt=2**31)]

Noise = Annotated[float, Field(gt=0, le=1)]
"""Share of noise in a picture that starts from noise; 0 would make all starting pictures equal."""

Steps = Annotated[
    int,
    Field(ge=1, le=100_000, description="Evaluations of the loss and its gradient at each level of the pyramid."),
]
Precision = Annotated[
    Literal["float32", "tf32", "bfloat16", "float64"],
    Field(
        description="Arithmetic of the network. Losses and the picture stay in float32, or float64 with `float64`. "
        "A CPU without instructions for `bfloat16` emulates it, a hundred times slower; one with them takes "
        "two thirds of the time of `float32`. `auto` is `bfloat16` where the machine that plans the sweep has such "
        "instructions, else `float32`; the plan, the ids and the rows say which.",
        json_schema_extra={"enum": ["float32", "tf32", "bfloat16", "float64", "auto"]},
    ),
]
TraceEvery = Annotated[
    int,
    Field(ge=0, description="Steps between two records of the losses in the table `traces`; 0 records none."),
]
