"""The measurements of `nst bench` for a kind of device, from the short ones to the long ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from nst.config.fields import Precision  # noqa: TC001  pydantic reads annotations at run time

Scope = Literal["quick", "default", "full"]
"""How much is measured: on two cores about half a minute, two minutes, a quarter of an hour."""

What = Literal["gatys", "moments", "photorealism", "mrf", "one pass", "training"]
"""What a step is. `gatys`, `moments` (`style_representation: moments`), `photorealism` (`gatys` with its
`photorealism_weight`) and `mrf`: an evaluation of the objective and its gradient, and a step of L-BFGS. `one pass`: a
picture through a trained network, from pixels to pixels. `training`: a step of Adam of a network."""

DESCENTS: Final[frozenset[What]] = frozenset(("gatys", "moments", "photorealism", "mrf"))
"""What optimises the pixels of pictures, for many steps."""

CONTENT_LAYERS: Final = ("relu4_1",)
STYLE_LAYERS: Final = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
PATCH_LAYERS: Final = ("relu3_1", "relu4_1")
"""Layers of the losses: those that `embedded` has, and with which nst was measured beside other programs."""

WARM_UP: Final = 2
"""Steps that are left out before those that count: the first ones build the network, the targets and oneDNN's code."""


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement."""

    what: What
    network: str
    """The network that measures pictures (`vgg19`, of random weights, or `embedded`), or the family of the network."""
    size: int
    """Long side in pixels of pictures of 4:3; of the squares of a training, the side."""
    batch: int
    """Pictures that are computed together."""
    precision: Precision
    steps: int
    """Steps that count."""

    @property
    def name(self) -> str:
        """The measurement in words, for messages."""
        together = f", {self.batch} together" if self.batch > 1 else ""
        return f"{self.what} by {self.network}, {self.size} px{together}, {self.precision}"


@dataclass(frozen=True, slots=True)
class Group:
    """Measurements of one thing: of every size with every batch, in every precision or in the first alone."""

    what: What
    network: str
    sizes: tuple[int, ...]
    batches: tuple[int, ...]
    steps: int
    first_precision_alone: bool = False


_QUICK_CPU: Final = (
    Group("gatys", "vgg19", (256,), (1,), 7),
    Group("gatys", "embedded", (256,), (1,), 7),
    Group("one pass", "johnson", (512,), (1,), 3, first_precision_alone=True),
    Group("training", "johnson", (96,), (4,), 3, first_precision_alone=True),
)
_CPU: Final = (
    Group("gatys", "vgg19", (256, 512), (1,), 7),
    Group("gatys", "vgg19", (256,), (4,), 4, first_precision_alone=True),
    Group("gatys", "embedded", (256, 512), (1,), 7),
    Group("moments", "vgg19", (256,), (1,), 5, first_precision_alone=True),
    Group("mrf", "vgg19", (256,), (1,), 5, first_precision_alone=True),
    Group("one pass", "johnson", (512,), (1,), 5),
    Group("one pass", "johnson", (512,), (4,), 2, first_precision_alone=True),
    Group("training", "johnson", (96,), (4,), 4, first_precision_alone=True),
)
_FULL_CPU: Final = (
    Group("gatys", "vgg19", (256, 512), (1, 4, 8), 7),
    Group("gatys", "vgg19", (1024,), (1,), 5),
    Group("gatys", "embedded", (256, 512), (1, 4), 7),
    Group("gatys", "embedded", (1024,), (1,), 5),
    Group("moments", "vgg19", (256, 512), (1,), 7),
    Group("photorealism", "vgg19", (256, 512), (1,), 7),
    Group("mrf", "vgg19", (256, 384), (1,), 7),
    Group("one pass", "johnson", (512,), (1, 4, 8), 5),
    Group("one pass", "adain", (512,), (1, 4, 8), 5),
    Group("training", "johnson", (96, 256), (4,), 5),
    *(Group("training", family, (96,), (4,), 5) for family in ("conditional", "texture_net", "mgan", "adain")),
)
_QUICK_GPU: Final = (
    Group("gatys", "vgg19", (512,), (1, 8), 50),
    Group("one pass", "johnson", (512,), (1, 16), 20),
    Group("training", "johnson", (256,), (4,), 20),
)
_GPU: Final = (
    Group("gatys", "vgg19", (512,), (1, 2, 4, 8, 16, 32), 50),
    Group("gatys", "embedded", (512,), (1, 32), 50),
    Group("moments", "vgg19", (512,), (1, 8), 20),
    Group("mrf", "vgg19", (512,), (1, 8), 20),
    Group("one pass", "johnson", (512,), (1, 16, 64), 20),
    Group("training", "johnson", (256,), (4, 16), 20),
)
_FULL_GPU: Final = (
    *_GPU[:1],
    Group("gatys", "vgg19", (1024,), (1, 4, 8), 50),
    Group("gatys", "vgg19", (2048,), (1,), 20),
    Group("gatys", "embedded", (512, 1024), (1, 8, 32), 50),
    Group("moments", "vgg19", (512,), (1, 4, 8), 20),
    Group("photorealism", "vgg19", (512,), (1, 8), 50),
    Group("mrf", "vgg19", (384, 512), (1, 8), 20),
    Group("one pass", "johnson", (512, 1024), (1, 4, 16, 64), 20),
    Group("one pass", "adain", (512,), (1, 4, 16, 64), 20),
    Group("training", "johnson", (256,), (4, 16, 64), 20),
    *(Group("training", family, (256,), (4,), 20) for family in ("conditional", "texture_net", "mgan", "adain")),
)
GROUPS: Final[dict[tuple[Scope, bool], tuple[Group, ...]]] = {
    ("quick", False): _QUICK_CPU, ("default", False): _CPU, ("full", False): _FULL_CPU,
    ("quick", True): _QUICK_GPU, ("default", True): _GPU, ("full", True): _FULL_GPU,
}  # fmt: skip
"""What is measured, by scope and by whether the device is a GPU of NVIDIA."""

CEILING: Final[dict[bool, tuple[int, int]]] = {False: (512, 1), True: (512, 32)}
"""Size and batch of the pictures whose convolutions are the ceiling, by whether the device is a GPU of NVIDIA."""


def cases(scope: Scope, precisions: tuple[Precision, ...], *, is_cuda: bool) -> tuple[Case, ...]:
    """Return what is measured, in order.

    Args:
        scope: How much.
        precisions: Arithmetic that the device is measured in, at least one.
        is_cuda: Whether the device is a GPU of NVIDIA.
    """
    return tuple(
        Case(group.what, group.network, size, batch, precision, group.steps)
        for group in GROUPS[scope, is_cuda]
        for precision in (precisions[:1] if group.first_precision_alone else precisions)
        for size in group.sizes
        for batch in group.batches
    )


def ceiling_shapes(*, is_cuda: bool) -> tuple[tuple[int, int, int, int], ...]:
    """Return the convolutions that are the ceiling: pictures, channels, rows and columns of the wide ones of VGG-19.

    Each block's has as many filters as channels, and kernels of 3 x 3.
    """
    size, batch = CEILING[is_cuda]
    width, height = size, size * 3 // 4
    blocks = ((64, 1), (128, 2), (256, 4), (512, 8))
    return tuple((batch, channels, height // stride, width // stride) for channels, stride in blocks)
