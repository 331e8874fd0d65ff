"""Every knob of every method: frozen pydantic, a tagged union over `name`. Never imports torch.

A configuration stops at its method: losses, backbones and optimisers are called with plain numbers. Beside its
settings a configuration answers what planning, checking and running ask of a method (`nst.config.method`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from nst.config.block import variants
from nst.config.class_visualisation import ClassVisualisationConfig
from nst.config.doodle import DoodleConfig
from nst.config.dream import DreamConfig
from nst.config.feedforward import FeedforwardConfig
from nst.config.gatys import GatysConfig
from nst.config.invert import InvertConfig
from nst.config.mrf import MrfConfig
from nst.config.texture import TextureConfig

if TYPE_CHECKING:
    from nst.config.method import Method

MethodConfig = Annotated[
    GatysConfig
    | MrfConfig
    | TextureConfig
    | InvertConfig
    | DoodleConfig
    | DreamConfig
    | ClassVisualisationConfig
    | FeedforwardConfig,
    Field(discriminator="name"),
]
"""The tagged union over `method.name`. A setting that several methods have is described in the words of the first."""

METHOD_CONFIGS: Final[dict[str, type[Method]]] = variants(MethodConfig, "name")
"""Methods by name."""
