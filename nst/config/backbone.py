"""Which network measures the pictures. No torch here: building it is `nst.backbones`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from nst.config.architectures import ARCHITECTURES
from nst.config.block import NamedBlock

CLASSIFIERS: Final = tuple(name for name, known in ARCHITECTURES.items() if known.classifies)
"""Backbones that end in scores of classes."""

if TYPE_CHECKING:
    Name = str
    ClassifierName = str
else:  # the names come from the one table
    Name = Literal[tuple(ARCHITECTURES)]
    ClassifierName = Literal[CLASSIFIERS]


class BackboneConfig(NamedBlock):
    """The backbone: architecture, weights and how they want their input."""

    RANDOM_VERSION: ClassVar[int] = 1
    """Declared version of the `random` weights' construction, part of their identity."""

    name: Name = "vgg19"
    """Architecture (Simonyan & Zisserman 2014, configurations E and D), or SqueezeNet 1.1 with its classifier
    (Iandola et al. 2016)."""

    weights: Annotated[str, Field(min_length=1)] = "torchvision"
    """`torchvision` (downloaded once, digest checked), `random` (seeded, variance-scaled, offline), or the URI of a
    .safetensors or .pth file."""

    input: Literal["torchvision", "caffe"] = "torchvision"
    """What the weights expect: RGB in [0, 1] standardised by ImageNet's mean and deviation (`torchvision`), or RGB in
    [0, 255] minus (123.68, 116.779, 103.939) (`caffe`)."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of `random` weights; ignored by the others."""

    pooling: Literal["max", "average"] = "max"
    """2 x 2 pooling. Gatys et al. 2016 section 2 prefer average; most implementations use max. `random` weights take
    average unless told otherwise: maxima let noise through (`nst.backbones.random`)."""

    padding: Literal["zeros", "reflect", "replicate"] = "zeros"
    """Padding of every convolution; `reflect` avoids dark borders (leongatys/NeuralImageSynthesis)."""

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
"""A backbone that pools by average unless told otherwise."""


class ClassifyingBackbone(BackboneConfig):
    """A backbone that ends in class scores."""

    name: ClassifierName = "squeezenet"
    """Architecture: SqueezeNet 1.1 (Iandola et al. 2016), the one that is whole."""

    @field_validator("name", mode="before")
    @classmethod
    def _classifies(cls, value: Any) -> Any:
        if isinstance(value, str) and value in ARCHITECTURES and value not in CLASSIFIERS:
            raise ValueError(f"{value} has no classifier here, expected {' or '.join(CLASSIFIERS)}")
        return value
