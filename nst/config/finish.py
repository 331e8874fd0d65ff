"""Settings of the last step of a cell: what the picture of a method passes through before it is saved."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from nst.config.block import Block

LATEST: Final = "latest"
"""Value of `model` that chooses the model that was trained last."""

MANIFESTS: Final = (".yaml", ".yml")
"""How the URI of a training manifest ends."""


class FinishConfig(Block):
    """A trained network that the finished picture of every cell passes through, in one pass and without a style."""

    model: Annotated[str, Field(min_length=1, max_length=2048)]
    """The network that the picture passes through at the end: its id in the catalog of models or the beginning of the
    id; the URI of a .safetensors file; `latest`, the `super_resolution` network that was trained last; or the URI of a
    training manifest (.yaml) of one network, which is trained first where it is missing. A `super_resolution` network
    enlarges the picture; networks of one style (`johnson`, `mgan`, `texture_net`) paint it. The picture that is saved
    is the one after this pass, which is that of `nst stylize`, tiles included; metrics and judgements are of the saved
    picture, losses of the picture before this pass."""

    @property
    def from_manifest(self) -> bool:
        """Whether the network is the model of a training manifest."""
        return self.model.endswith(MANIFESTS)
