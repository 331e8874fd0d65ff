"""Settings of the training of feed-forward networks. Every default stands beside its source.

A training's identity is its family with its declared version, the settings outside `NOT_PIXELS`, the digests of the
style images, of the photographs and of the backbone's weights. Weights of losses are in relative units
(`nst.losses.units`): they mean what they mean in `gatys`, on every backbone.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.block import Block, NamedBlock
from nst.config.fields import LayerWeights, Pixels, Precision, Seed, Weight

Filters = Annotated[int, Field(ge=4, le=256)]


class DecayConfig(NamedBlock):
    """How the learning rate falls along the steps."""

    name: Literal["constant", "step", "inverse"] = "constant"
    """`constant` (Johnson et al. 2016); `step`: times `factor` every `every` steps (DmitryUlyanov/texture_nets);
    `inverse`: divided by 1 + `rate` times the step (naoto0804/pytorch-AdaIN)."""

    factor: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Of `step`; 0.8 in texture_nets."""

    every: Annotated[int, Field(ge=1)] = 2000
    """Of `step`, in steps; 300 for textures and 2000 for stylisation in texture_nets."""

    rate: Annotated[float, Field(ge=0, le=1)] = 5e-5
    """Of `inverse`; 5e-5 in pytorch-AdaIN."""


class Training(Block):
    """What every family has."""

    VERSION: ClassVar[int] = 1
    """Declared version of the family: raised when the trained weights change, so that models are trained anew."""

    VARIES: ClassVar[frozenset[str]] = frozenset()
    """None: every point of the axes is a training of its own."""

    NOT_PIXELS: ClassVar[frozenset[str]] = frozenset({"checkpoint_every", "validate_every", "compile"})
    """Fields that do not bear on what is learned and are no part of a model's identity."""

    family: Any

    size: Pixels = 256
    """Width and height of the squares of photographs that are learned from; 256 in all sources."""

    batch_size: Annotated[int, Field(ge=1, le=256)] = 4
    """Photographs in a step; 4 in Johnson et al. 2016 section 4.1."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 40_000
    """Steps of Adam; 40,000 (two epochs of 80,000 photographs in batches of 4) in Johnson et al. 2016 section 4.1."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    """Of Adam; 1e-3 in Johnson et al. 2016 section 4.1."""

    decay: DecayConfig = DecayConfig()

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Long side of the style images over `size`. Brush strokes are learned at this size and stay so afterwards."""

    content_weight: Weight = 1.0
    """Weight of the content loss, in relative units."""

    style_weight: Weight = 10.0
    """Weight of the style loss, in relative units. Content 1, style 5 and tv 1e-6 of jcjohnson/fast-neural-style come
    to 1, 8 and 0.013 here, measured on VGG-16 up to relu3_3 with Starry Night at 256 pixels."""

    tv_weight: Weight = 0.01
    """Weight of the total variation (squared differences) of the output in [0, 1]; more is smoother. See above."""

    precision: Precision = "float32"

    compile: bool = False
    """Compile the network with torch.compile: slow to start, faster steps on a GPU."""

    seed: Seed = 0
    """Seed of the first weights, the order of the photographs, their crops, and the noise."""

    checkpoint_every: Annotated[int, Field(ge=1)] = 1000
    """Steps between checkpoints: at most so many are lost when the machine goes down."""

    validate_every: Annotated[int, Field(ge=1)] = 1000
    """Steps between pictures of the validation photographs."""

    @property
    def photographs(self) -> bool:
        """Whether it learns from photographs."""
        return True

    @property
    def most_styles(self) -> int | None:
        """How many style images it takes at most; None is any number. Every family needs one."""
        return 1

    @property
    def cost(self) -> float:
        """About how many pixels pass through the network in all, which its time is proportional to."""
        return float(self.size**2 * self.batch_size * self.steps)


class JohnsonTraining(Training):
    """Johnson, Alahi & Fei-Fei 2016 with the instance norm of Ulyanov et al. 2016: one style, one pass."""

    family: Literal["johnson"] = "johnson"

    content_layers: LayerWeights = dict.fromkeys(("relu3_3",), 1.0)
    """relu3_3 of VGG-16 in jcjohnson/fast-neural-style."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 0.25)
    """These of VGG-16, equally, in Johnson et al. 2016 section 4.1."""

    backbone: BackboneConfig = BackboneConfig(name="vgg16")
    """VGG-16 in Johnson et al. 2016 section 3.2."""

    width: Filters = 32
    """Filters of the outermost convolutions; 32 in the paper, 16 in the instance norm models of its authors."""

    residual_blocks: Annotated[int, Field(ge=0, le=32)] = 5
    """Blocks of two convolutions in the middle; 5 in the paper."""

    norm: Literal["instance", "batch"] = "instance"
    """`instance` (Ulyanov et al. 2016), `batch` as in the paper."""

    upsampling: Literal["nearest", "transposed"] = "nearest"
    """`nearest` and a convolution (pytorch/examples), which leaves no checkerboards; `transposed` as in the paper."""

    padding: Literal["reflect", "zeros"] = "reflect"
    """Of every convolution; `reflect` in pytorch/examples, `zeros` in the paper."""


class ConditionalTraining(Training):
    """Dumoulin, Shlens & Kudlur 2017: many styles in one network, a row of norm parameters each."""

    family: Literal["conditional"] = "conditional"

    batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """Photographs in a step, each with a style drawn at random; 16 in the paper's appendix and in magenta."""

    content_layers: LayerWeights = dict.fromkeys(("relu3_3",), 1.0)
    """The last of block 3 of VGG-16 in magenta's image_stylization."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 0.25)
    """The last of blocks 1 to 4 of VGG-16, equally, in magenta's image_stylization."""

    backbone: BackboneConfig = BackboneConfig(name="vgg16")
    """VGG-16 in the paper."""

    width: Filters = 32
    """Filters of the outermost convolutions; 32 in the paper's appendix."""

    residual_blocks: Annotated[int, Field(ge=0, le=32)] = 5
    """Blocks of two convolutions in the middle; 5 in the paper's appendix."""

    only_rows: bool = False
    """Learn only the norm parameters of the styles, everything else staying as it was loaded: adds styles to a trained
    network (the paper's section 3.3)."""

    @property
    def most_styles(self) -> int | None:
        """Any number."""
        return None


class TextureNetTraining(Training):
    """Ulyanov et al. 2016 and 2017: a generator fed by noise at several scales, optionally with a photograph."""

    family: Literal["texture_net"] = "texture_net"

    mode: Literal["texture", "stylize"] = "texture"
    """`texture`: g(z), pictures from noise alone. `stylize`: g(z, c), the photograph given at every scale."""

    batch_size: Annotated[int, Field(ge=1, le=256)] = 4
    """4 for stylisation and with the diversity term, 16 for textures in texture_nets."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 3000
    """1500 for textures, 3000 for stylisation in texture_nets."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-2
    """1e-2 in the author's recipe for instance norm; 1e-1 for textures with batch norm."""

    decay: DecayConfig = DecayConfig(name="step", every=300)
    """Times 0.8 every 300 steps, for textures in texture_nets."""

    content_layers: LayerWeights = dict.fromkeys(("relu4_2",), 1.0)
    """relu4_2 of VGG-19 in texture_nets; of `stylize` only."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), 0.2)
    """These of VGG-19, equally, in texture_nets."""

    diversity_weight: Weight = 0.0
    """Weight of the diversity term: minus the mean log distance of an output to its nearest in the batch (Ulyanov et
    al. 2017, "Improved texture networks", eq. 7). `stylize` then takes each photograph twice, with other noise, and
    compares those two. Needs an even `batch_size`. Own trials with `stylize` at 64 pixels: 0.3 makes pictures of one
    photograph 1.3 times as different at the same style loss. Textures with `circular` padding, where nothing but the
    noise tells places apart, are as different as independent pictures without it."""

    tv_weight: Weight = 0.0
    """None in texture_nets."""

    backbone: BackboneConfig = BackboneConfig(name="vgg19")
    """VGG-19 in texture_nets."""

    scales: Annotated[int, Field(ge=1, le=8)] = 6
    """Sizes of the noise pyramid, each half the next; 6 for textures of 256 px in Ulyanov et al. 2016 section 3.2."""

    width: Filters = 8
    """Filters that each scale adds; 8 in Ulyanov et al. 2016 section 3.2."""

    norm: Literal["instance", "batch"] = "instance"
    """`instance` in the author's later code, `batch` in Ulyanov et al. 2016."""

    padding: Literal["circular", "reflect", "zeros"] = "circular"
    """Of every convolution; `circular` in Ulyanov et al. 2016 section 3.2, which makes textures that tile."""

    @property
    def photographs(self) -> bool:
        """Only where it stylises."""
        return self.mode == "stylize"

    @property
    def views(self) -> int:
        """How often each photograph is in a step."""
        return 2 if self.photographs and self.diversity_weight else 1


class AdainTraining(Training):
    """Huang & Belongie 2017: a decoder of features whose channel means and deviations were replaced by a style's."""

    family: Literal["adain"] = "adain"

    batch_size: Annotated[int, Field(ge=1, le=256)] = 8
    """8 pairs of photograph and style in the paper's section 6.1."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 160_000
    """160,000 in naoto0804/pytorch-AdaIN."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-4
    """1e-4 in pytorch-AdaIN."""

    decay: DecayConfig = DecayConfig(name="inverse")
    """Divided by 1 + 5e-5 times the step in pytorch-AdaIN."""

    layer: Literal["relu1_1", "relu2_1", "relu3_1", "relu4_1"] = "relu4_1"
    """Where the encoder ends and statistics are exchanged; relu4_1 in the paper's section 6."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1"), 1.0)
    """Layers whose means and deviations are compared, weighted 1 each: the paper's eq. 13."""

    style_weight: Weight = 10.0
    """Over the content loss against the exchanged features; 10 in pytorch-AdaIN. Relative units: both losses are
    divided by the energy of their targets."""

    tv_weight: Weight = 0.0
    """None in the paper."""

    backbone: BackboneConfig = BackboneConfig(name="vgg19", padding="reflect")
    """The encoder: VGG-19 with reflection padding, as in xunhuang1995/AdaIN-style."""

    @property
    def most_styles(self) -> int | None:
        """Any number: the more, the better it does on new ones."""
        return None


TrainingConfig = Annotated[
    JohnsonTraining | ConditionalTraining | TextureNetTraining | AdainTraining, Field(discriminator="family")
]
"""The tagged union over `family`."""

TRAINING_CONFIGS: dict[str, type[TrainingConfig]] = {
    "adain": AdainTraining,
    "conditional": ConditionalTraining,
    "johnson": JohnsonTraining,
    "texture_net": TextureNetTraining,
}
