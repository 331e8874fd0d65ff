"""Every knob of every method: frozen pydantic, a tagged union over `name`. Never imports torch.

A configuration stops at its method: losses, backbones and optimisers are called with plain numbers. Beside its
settings a configuration says what planning has to know: `VERSION`, `VARIES`, `NOT_PIXELS`, `needs`, `side`, `pixels`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nst.config.class_visualisation import ClassVisualisationConfig
from nst.config.doodle import DoodleConfig
from nst.config.dream import DreamConfig
from nst.config.feedforward import FeedforwardConfig
from nst.config.gatys import GatysConfig
from nst.config.invert import InvertConfig
from nst.config.mrf import MrfConfig
from nst.config.texture import TextureConfig

MethodConfig = Annotated[
    GatysConfig
    | InvertConfig
    | MrfConfig
    | TextureConfig
    | DoodleConfig
    | DreamConfig
    | ClassVisualisationConfig
    | FeedforwardConfig,
    Field(discriminator="name"),
]
"""The tagged union over `method.name`."""

METHOD_CONFIGS: dict[str, type[MethodConfig]] = {
    "gatys": GatysConfig,
    "mrf": MrfConfig,
    "texture": TextureConfig,
    "invert": InvertConfig,
    "doodle": DoodleConfig,
    "dream": DreamConfig,
    "class_visualisation": ClassVisualisationConfig,
    "feedforward": FeedforwardConfig,
}
