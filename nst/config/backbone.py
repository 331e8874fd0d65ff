"""Settings of the backbone, the network that measures the pictures. Never imports torch: `nst.backbones` builds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from nst.config.architectures import ARCHITECTURES
from nst.config.block import NamedBlock

CLASSIFIERS: Final = tuple(name for name, backbone in ARCHITECTURES.items() if backbone.classifies)
"""Names of the backbones that end in scores of classes."""

DISTILLED: Final = ("embedded", "draft")
"""The weights that the package holds, by `backbone.weights`: a narrower VGG-19 up to `DEEPEST`."""

DEEPEST: Final = "relu4_1"
"""The last layer of the `DISTILLED` weights."""

NAMED: Final = ("torchvision", "random", *DISTILLED)
"""The words that `backbone.weights` may be; any other text is a file."""

if TYPE_CHECKING:
    Name = str
    ClassifierName = str
else:  # the names come from the one table
    Name = Literal[tuple(ARCHITECTURES)]
    ClassifierName = Literal[CLASSIFIERS]


class BackboneConfig(NamedBlock):
    """The backbone: its architecture, its weights and the input that the weights expect."""

    RANDOM_VERSION: ClassVar[int] = 1
    """Declared version of the construction of `random` weights, part of their identity."""

    RECORDED: ClassVar[Mapping[str, str]] = {"input": "expected_input"}

    name: Name = "vgg19"
    """Architecture: VGG-19 or VGG-16 (Simonyan & Zisserman 2014, configurations E and D), SqueezeNet 1.1 with its
    classifier (Iandola et al. 2016), or ResNet-18 or ResNet-50 (He et al. 2016). Layers of a ResNet are `relu`,
    `maxpool`, and `layer1` to `layer4`, whose blocks before the last are `layer1_1`, `layer1_2`, ...; where the
    manifest leaves layers out, they stand for blocks 1 to 5 of the VGG. Pictures through a ResNet are known to be
    poorer than those through a VGG (Wang, Li & Vasconcelos 2021). The two ResNets were compared with torchvision's own
    modules on seeded weights; with the trained weights, a download of 45 and 98 MB, nobody has tried them here yet."""

    weights: Annotated[str, Field(min_length=1)] = "torchvision"
    """Where the weights come from: `torchvision` (ImageNet weights, downloaded once, digest checked); `embedded` (in
    the package: a VGG-19 distilled to seven tenths of its filters, up to relu4_1); `draft` (likewise, to a quarter:
    rougher, and several times as fast); `random` (drawn from `seed` with scaled variance); or the URI of a
    .safetensors, .pth or .t7 file. With `embedded` and `draft`, layers that the manifest leaves out are those of the
    default that the weights have."""

    input: Literal["torchvision", "caffe", "caffe_bgr"] = "torchvision"
    """Input that the weights expect. `torchvision`: RGB in [0, 1], standardised by ImageNet's mean and deviation.
    `caffe`: RGB in [0, 255] minus (123.68, 116.779, 103.939). `caffe_bgr`: the same in the order B, G, R, as Caffe's
    own files have it, and `vgg19-d01eb7cb.pth` of jcjohnson/pytorch-vgg. `random` weights always take `torchvision`,
    `embedded` and `draft` always `caffe`."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of `random` weights; other weights ignore it."""

    pooling: Literal["max", "average"] = "max"
    """How the pooling layers pool. Gatys et al. 2016 section 2 prefer `average`; most implementations use `max`. With
    `random` weights the default is `average`, since maxima let noise through (`nst.backbones.random`)."""

    padding: Literal["zeros", "reflect", "replicate"] = "zeros"
    """How convolutions continue their input beyond its border; `reflect` avoids dark borders
    (leongatys/NeuralImageSynthesis)."""

    @property
    def distilled(self) -> bool:
        """Whether the package holds the weights."""
        return self.weights in DISTILLED

    @property
    def expected_input(self) -> Literal["torchvision", "caffe", "caffe_bgr"]:
        """The input that the weights expect, whatever `input` says."""
        if self.weights == "random":  # trained for no input; torchvision's has unit variance
            return "torchvision"
        return "caffe" if self.distilled else self.input

    @model_validator(mode="after")
    def _is_vgg19(self) -> Self:
        if self.distilled and self.name != "vgg19":
            raise ValueError(f"the weights {self.weights} are of a vgg19; found name: {self.name}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _pool_random_by_average(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("weights") == "random":
            return {"pooling": "average", **value}
        return value


def _pool_by_average(value: Any) -> Any:
    if isinstance(value, str):
        value = {"name": value}
    return {"pooling": "average", **value} if isinstance(value, dict) else value


AveragingBackbone = Annotated[BackboneConfig, BeforeValidator(_pool_by_average)]
"""A backbone whose `pooling` is `average` by default."""


class ClassifyingBackbone(BackboneConfig):
    """A backbone that ends in scores of classes."""

    name: ClassifierName = "squeezenet"
    """Architecture: SqueezeNet 1.1 (Iandola et al. 2016), the one backbone that has its classifier."""

    @field_validator("name", mode="before")
    @classmethod
    def _classifies(cls, value: Any) -> Any:
        if isinstance(value, str) and value in ARCHITECTURES and value not in CLASSIFIERS:
            raise ValueError(f"{value} has no classifier here, expected {' or '.join(CLASSIFIERS)}")
        return value
