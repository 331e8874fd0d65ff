"""Settings of the family `mgan` (Markovian generative adversarial networks, Li & Wand 2016), with their sources."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nst.config.backbone import BackboneConfig
from nst.config.block import Block
from nst.config.fields import EncoderLayer, LayerWeights, Pixels, SteadyWeight, Weight
from nst.config.training.settings import Training


class DeconvolutionConfig(Block):
    """The first of two stages: every photograph becomes a picture by the method `mdan`, from which the network learns.

    It takes its `style_layers` and `style_scale` from the training, and a single level of the pyramid.
    """

    steps: Annotated[int, Field(ge=1, le=100_000)] = 150
    """Steps of Adam for each photograph (5 times 25 in chuanli11/MGANs)."""

    content_weight: Weight = 1.0
    """As `content_weight` of `mdan`, at the layer `layer` of the training."""

    style_weight: Weight = 2.0
    """As `style_weight` of `mdan`."""

    tv_weight: Weight = 10.0
    """As `tv_weight` of `mdan`."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.02
    """As `learning_rate` of `mdan`."""

    critic_rate: Annotated[float, Field(gt=0, le=100)] = 0.005
    """As `critic_rate` of `mdan`."""


class MganTraining(Training):
    """One style: a decoder of features that learns against a critic of neural patches (MGANs, Li & Wand 2016).

    The catalog's `style_loss` of such a training is the adversarial loss.
    """

    BETA1: ClassVar[float] = 0.5
    """Decay of the mean gradient in Adam, for network and critic (0.5 in chuanli11/MGANs)."""

    ADDED_LATER: ClassVar[frozenset[str]] = Training.ADDED_LATER | {"deconvolution"}

    family: Literal["mgan"] = "mgan"

    deconvolution: DeconvolutionConfig | None = None
    """The first of the two stages of Li & Wand 2016; by default there is one stage alone, in which the network has to
    keep the photograph's features. With a block, `{}` for its defaults, the network has to come near the pixels of the
    picture that `mdan` makes of each photograph, which chuanli11/MGANs does with a hundred photographs; use as few. In
    own trials (64 pixels, 200 steps) one stage kept more of the photographs, in half the time."""

    size: Pixels = 256
    """Width and height in pixels of the squares of photographs that the network learns from; the default is that of all
    other families (128, cut from pictures of 384, in chuanli11/MGANs)."""

    batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """Number of photographs in a step; 16 have as many pixels as the 64 squares of 128 x 128 in chuanli11/MGANs."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Number of steps of Adam, our own choice. chuanli11/MGANs takes 5 epochs, some thousand steps, over the squares of
    a hundred optimised pictures; here the network has to find by itself what those pictures show."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    """Learning rate of Adam for the network; the default is that of `johnson` (0.02 in chuanli11/MGANs, with batch norm
    in network and critic)."""

    critic_rate: Annotated[float, Field(gt=0, le=100)] = 0.05
    """Learning rate of the critic divided by that of the network (1 in chuanli11/MGANs, with batch norm). In own trials
    with Starry Night, relu3_1 and 4 squares of 64 to 72 pixels, the adversarial loss after 50 steps was 3.4 with 1, 2.1
    with 0.2, and 1.2 with 0.05; with 0.05 the loss of the critic was 1.8, where an undecided critic has 2."""

    layer: EncoderLayer = "relu3_1"
    """Layer at which the encoder ends and the content is compared (relu4_1 in chuanli11/MGANs, whose network is shown
    pictures that keep relu5_1). In own trials without such pictures relu4_1 still painted blocks after 150 small steps,
    when relu3_1 already drew, and relu4_1 is slower."""

    style_layers: LayerWeights = dict.fromkeys(("relu3_1",), 1.0)
    """Layers whose patches of 3 x 3 positions are judged, by one critic per layer, with their weights (relu3_1 in
    chuanli11/MGANs)."""

    content_weight: Weight = 1.0
    """Weight of the content loss, in relative units. With `deconvolution` the pixels of optimised pictures are compared
    in its place (with weight 1 in chuanli11/MGANs)."""

    style_weight: Weight = 1.0
    """Weight of the adversarial loss, which is 1 while the critic cannot tell real patches from painted ones (0.01,
    against the pixels of optimised pictures, in chuanli11/MGANs)."""

    tv_weight: Weight = 0.01
    """Weight of the total variation of the output in [0, 1]; the default is that of `johnson` (1e-4, in other units, in
    chuanli11/MGANs)."""

    temporal_weight: SteadyWeight = 0.0

    backbone: BackboneConfig = BackboneConfig(name="vgg19", padding="reflect")
    """Backbone that encodes the pictures and measures them (VGG-19 in the paper). With reflection padding a critic
    cannot tell real patches from painted ones by the borders of the pictures; chuanli11/MGANs leaves the borders
    out."""

    @model_validator(mode="after")
    def _whole_photographs(self) -> Self:
        if self.deconvolution and self.photograph_scale != 1:
            raise ValueError(f"deconvolution takes whole photographs; photograph_scale is {self.photograph_scale:g}")
        return self
