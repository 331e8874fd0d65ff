"""Settings of the family `student`: small networks that measure pictures nearly as a full VGG does."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nst.config.architectures import deepest, layers_of
from nst.config.backbone import BackboneConfig
from nst.config.convolutions import NARROWS, convolutions_of
from nst.config.fields import LayerWeights, Pixels, Weight
from nst.config.training.settings import DecayConfig, Training


class StudentTraining(Training):
    """A small backbone: a VGG with fewer filters, whose gradients move pictures as those of a full VGG do.

    The trained network makes no pictures. Other manifests name its file as `backbone.weights`, with the `name` and the
    `input` of the backbone that it was trained with. The file holds the weights in float16.
    """

    KNOWS: ClassVar[Literal["one", "many", "any"]] = "any"
    MAKES: ClassVar[Literal["pictures", "backbone"]] = "backbone"
    BETA2: ClassVar[float] = 0.99
    """Gradients of the first steps are large and die out soon: their squares are forgotten after a hundred steps."""

    family: Literal["student"] = "student"

    filters: tuple[Annotated[int, Field(ge=1, le=512)], ...] = (48, 48, 96, 96, 192, 192, 192, 192, 384)
    """Number of filters of each convolution, from the first one to that of the deepest layer that `content_layers` and
    `style_layers` name. A number must not exceed the backbone's own; the default is three quarters of VGG-19's. For the
    same time per step, pictures gain most from the filters of the second block: (24, 40, 112, 128, 192, 144, 144, 192,
    416) are faster than the default, and `nst/backbones/CARD.md` says what came of them."""

    size: Pixels = 128
    """Width and height in pixels of the squares that the network learns from."""

    crops: Annotated[int, Field(ge=1, le=10_000)] = 96
    """Number of squares from which the first weights are computed in closed form: three quarters of them are cut from
    photographs, the others from styles. Each of them takes about 20 MB of memory at the default `size`."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 2000
    """Number of steps of Adam."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-4
    """Learning rate of Adam. Large rates undo the first weights: in own trials 1e-3 ruined half of VGG-19's filters,
    while a quarter of the filters, whose first weights are rougher, gained from 190 steps at 1e-3 with a `warmup`."""

    decay: DecayConfig = DecayConfig(name="step", every=500, factor=0.5)
    """How the learning rate falls."""

    content_layers: LayerWeights = dict.fromkeys(("relu4_1",), 1.0)
    """Layers of the content loss whose gradients are compared, with their weights."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1"), 0.25)
    """Layers of the style loss, by Gram matrices, whose gradients are compared, with their weights."""

    style_scale: Annotated[float, Field(ge=1, le=4)] = 2.0
    """Short side of the style images divided by `size`; squares of `size` pixels are cut from them at random places."""

    ADDED_LATER: ClassVar[frozenset[str]] = Training.ADDED_LATER | {"feature_weight"}

    feature_weight: Weight = 0.0
    """Weight of the disagreement of the features themselves: of every filter with the filter of the full VGG that it
    stands for, and of the Gram matrices at `style_layers`. A step that compares features alone (with `content_weight`
    and `style_weight` 0) takes a fifth of the time of one that compares gradients. With a quarter of VGG-19's filters,
    6000 such steps came to three quarters of the style loss of pictures that 450 steps of gradients had come to; 420
    steps of gradients after 5500 of features took another quarter off it (`nst/backbones/CARD.md`)."""

    content_weight: Weight = 1.0
    """Weight of the disagreement of the gradients of the content loss."""

    style_weight: Weight = 1.0
    """Weight of the disagreement of the gradients of the style loss."""

    norm_weight: Weight = 0.1
    """Weight of the squared logarithm of the ratio of the gradients' norms, against 1 for one minus the cosine of the
    angle between the gradients."""

    tv_weight: Weight = 0.0
    """Without effect: the network makes no pictures."""

    backbone: BackboneConfig = BackboneConfig(name="vgg19")
    """The full VGG that the network learns from."""

    @property
    def filters_by_layer(self) -> dict[str, int]:
        """Number of filters by convolution: `conv1_1`, `conv1_2`, ..."""
        names = (convolution.layer for convolution in convolutions_of(self.backbone.name))
        return dict(zip(names, self.filters, strict=False))

    @model_validator(mode="after")
    def _fits_the_backbone(self) -> Self:
        name = self.backbone.name
        if name not in NARROWS:
            raise ValueError(f"a student learns from {' or '.join(sorted(NARROWS))}; found backbone: {name}")
        order, named = layers_of(name), {*self.content_layers, *self.style_layers}
        if not named.issubset(order):
            return self  # planning reports the layer that the backbone lacks
        last = deepest(name, named)
        reached = [c for c in convolutions_of(name) if order.index(c.layer) <= order.index(last)]
        if len(self.filters) != len(reached):
            found = f"filters has {len(self.filters)} numbers; expected {len(reached)}"
            raise ValueError(f"{found}, one for each convolution of {name} up to {last}")
        for convolution, count in zip(reached, self.filters, strict=True):
            if count > convolution.filters:
                found = f"filters has {count} for {convolution.layer}"
                raise ValueError(f"{found}; expected at most {convolution.filters}, which {name} has")
        return self
