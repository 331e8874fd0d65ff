"""Transform networks of torch7, put together from the description of their modules (`tasks.inputs.torch7_modules`).

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from nst.backbones.backbone import INPUTS
from nst.errors import InputError
from nst.networks.importing.torch7_modules import module_from
from nst.networks.network import Network, pad_to_multiple
from nst.yaml.json_text import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTE: Final = "torch7"
"""Name of the note, in a model's file, that holds the description of a network of torch7 as JSON."""


class Torch7Net(Network):
    """A transform network of torch7.

    Args:
        about: Its description: `model`, a module, and `preprocessing` for networks of fast-neural-style.
        tensors: Its weights under the names that the description gives its modules.

    Raises:
        InputError: It has a module that is not known, its tensors do not fit, or it returns no picture of the size that
            it is given.

    Source:
        jcjohnson/fast-neural-style `fast_neural_style.lua` and `preprocess.lua`: with `vgg` the network takes and
        returns B, G, R in [0, 255] minus Caffe's mean, with `resnet` R, G, B minus ImageNet's mean and divided by its
        deviation; norms of batches are computed with the statistics of the training. DmitryUlyanov/texture_nets
        `test.lua`: the network takes R, G, B in [0, 1], and returns what `vgg` does; norms of batches are computed with
        the statistics of the picture. Differs: fast-neural-style's median filter of 3 x 3 pixels over the finished
        picture is left out; pictures whose sides are no multiples of the network's stride are continued by their
        borders, and the result is cut.
    """

    family = "johnson"

    def __init__(self, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        taken = about.get("preprocessing", "plain")
        if taken not in {"vgg", "resnet", "plain"}:
            raise InputError(f"the network takes pictures as {taken!r:.40}", hint="known are vgg and resnet")
        self.takes, self.returns = taken, "vgg" if taken == "plain" else taken
        built = module_from(about["model"], tensors, evaluates=taken != "plain")
        self.model = built.module.eval()
        self.multiple, self.margin, self.smallest = built.stride, built.reach, max(16, built.smallest)
        self._try_out()

    def train(self, mode: bool = True) -> Torch7Net:
        """Stay as it is: norms of batches keep the statistics that the description says."""
        del mode
        return self

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the stylized pictures of RGB pictures in [0, 1]."""
        x_BCHW: Tensor = pad_to_multiple(images_BCHW, self.multiple)
        if self.takes != "plain":
            mean, scale = _input(self.takes, x_BCHW)
            x_BCHW = (x_BCHW - mean) * scale
        x_BCHW = self.model(x_BCHW.flip(1) if self.takes == "vgg" else x_BCHW)
        mean, scale = _input(self.returns, x_BCHW)
        picture_BCHW: Tensor = (x_BCHW.flip(1) if self.returns == "vgg" else x_BCHW) / scale + mean
        return picture_BCHW[..., : images_BCHW.shape[2], : images_BCHW.shape[3]]

    def _try_out(self) -> None:
        """Refuse a network that makes no pictures of pictures.

        Raises:
            InputError: It does not.
        """
        side = -(-self.smallest // self.multiple) * self.multiple
        try:
            with torch.no_grad():
                shape = tuple(self(torch.zeros(1, 3, side, side)).shape)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0][:120]
            raise InputError(f"the network of torch7 takes no pictures: {reason}") from error
        if shape != (1, 3, side, side):
            raise InputError(f"the network of torch7 returns {shape} of a picture of shape (1, 3, {side}, {side})")


def torch7_net(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Torch7Net:
    """Return the network of a .t7 file.

    Args:
        metadata: With the description of its modules under `NOTE`.
        tensors: Its weights.

    Raises:
        InputError: As `Torch7Net`, or the description is damaged.
    """
    try:
        about = from_json(metadata[NOTE])
        return Torch7Net(about, tensors)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the description of a network of torch7 cannot be read: {error!r:.100}") from error


def _input(convention: str, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the scale of a convention, for R, G and B of pictures in [0, 1], shape (1, 3, 1, 1)."""
    white, mean, deviation = INPUTS["caffe" if convention == "vgg" else "torchvision"]
    made = (like.new_tensor([m / white for m in mean]), like.new_tensor([white / d for d in deviation]))
    return made[0].view(1, 3, 1, 1), made[1].view(1, 3, 1, 1)
