"""Every setting of every method: frozen pydantic models, in one tagged union over `name`. Never imports torch.

Besides its settings, a configuration answers what planning, checking and running ask of a method
(`nst.config.method`). Losses know no configuration: they are called with plain numbers and tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from nst.config.baseline import BaselineConfig
from nst.config.block import variants
from nst.config.class_visualisation import ClassVisualisationConfig
from nst.config.doodle import DoodleConfig
from nst.config.dream import DreamConfig
from nst.config.feedforward import FeedforwardConfig
from nst.config.gatys import GatysConfig
from nst.config.invert import InvertConfig
from nst.config.mdan import MdanConfig
from nst.config.mrf import MrfConfig
from nst.config.texture import TextureConfig

if TYPE_CHECKING:
    from nst.config.method import Method

MethodConfig = Annotated[
    GatysConfig
    | MrfConfig
    | MdanConfig
    | TextureConfig
    | InvertConfig
    | DoodleConfig
    | DreamConfig
    | ClassVisualisationConfig
    | FeedforwardConfig
    | BaselineConfig,
    Field(discriminator="name"),
]
"""The tagged union over `method.name`. Where several methods have a setting of one name, the catalog describes its
column in the words of the first of them."""

METHOD_CONFIGS: Final[dict[str, type[Method]]] = variants(MethodConfig, "name")
"""The class of every method's settings, by the method's name."""
