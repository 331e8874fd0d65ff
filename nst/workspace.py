"""What a worker process keeps in memory between batches, and the requests and results of a batch. Knows no loss."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import torch

from nst.backbones import Backbone, build_backbone
from nst.config.memory import SIDES
from nst.networks import Network, network_from
from nst.recent import Recent, bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from torch import Tensor

    from nst.config.backbone import BackboneConfig
    from nst.config.fields import Mix
    from nst.config.method import Method
    from nst.errors import NstError
    from nst.losses.matting import LocalColors
    from nst.networks.norm import Statistics
    from nst.pictures.images import Pixels
    from nst.pictures.masks import Labels
    from nst.records import CellLosses, TraceRecord

_ROOM_FOR_STATISTICS: Final = 2**29
_ROOM_FOR_FEATURES: Final = 2**29
_ROOM_FOR_COLORS: Final = 2**28
_ROOM_FOR_SHOTS: Final = 2**26
"""Bytes of kept statistics of styles, and of kept features and local colours of contents, at least one of each."""


@dataclass(frozen=True, eq=False)
class NetworkFile:
    """The file of a trained network."""

    digest: str
    """SHA-256 of the bytes of the file."""
    load: Callable[[], tuple[Mapping[str, str], Mapping[str, Tensor]]]
    """Returns the metadata and the tensors of the file; called only if the network is not in memory."""


@dataclass(frozen=True, eq=False)
class FrameBefore:
    """A stylized frame of the same shot, brought to the frame that is to be made."""

    picture: np.ndarray
    """The picture, warped along the motion, (H, W, 3) float32 in [0, 1], as large as the picture that is to be made."""
    weights: np.ndarray
    """How certain it is that each position shows the same as there, (H, W) float32 in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Request:
    """One cell of a batch, with its images decoded."""

    cell_id: str
    content: Pixels | None
    """The content image; None for methods without one and for a content that is a mask without an image."""
    styles: tuple[Pixels, ...]
    """The style images; empty for methods without them."""
    style_weights: tuple[float, ...]
    """Weight of each style image, of any positive sum."""
    mix: Mix
    config: Method
    content_mask: Labels | None = None
    style_masks: tuple[Labels, ...] = ()
    """The mask of each style image; empty without masks."""
    model: NetworkFile | None = None
    """The trained network, for methods that run one."""
    start: Pixels | None = None
    """The picture that the optimisation starts from where the settings name one (`Method.start_picture`)."""
    trained_style: Pixels | None = None
    """The style image that the network of a cell without a style was trained for, where it can be read. No method looks
    at it: metrics compare the picture with it."""
    before: tuple[FrameBefore, ...] = ()
    """Of a frame of a clip: the frames that it is held to, closest first; the batch shares their weights. `start` is
    then the picture that it starts from."""
    shot: tuple[Pixels, ...] = ()
    """Of a frame of a clip: frames of its shot whose statistics a network may hold; empty for those of each frame."""
    finish: NetworkFile | None = None
    """The trained network that the picture passes through at the end (`Method.finish`); no method looks at it."""

    def __post_init__(self) -> None:
        assert self.start or not self.config.start_picture, "a start is given where it is named"

    @property
    def continues(self) -> bool:
        """Whether it starts from a picture that the settings do not name: the frame of a clip that lies before it."""
        return self.start is not None and self.config.start_picture is None


@dataclass(frozen=True, eq=False)
class Stylized:
    """The result of a request: a picture with its losses, or an error."""

    cell_id: str
    image: np.ndarray | None
    """The picture, HWC uint8 RGB; None with an error."""
    losses: CellLosses | None
    """Losses of the picture; None with an error and for methods that measure nothing."""
    trace: tuple[TraceRecord, ...]
    """Losses along the steps."""
    steps: int
    """Number of evaluations of the loss and its gradient at all levels together."""
    tile: int | None = field(default=None, kw_only=True)
    """Side in pixels of the tiles in which the objective was computed; None if that was done for the whole picture."""
    error: NstError | None = None
    report: Mapping[str, str | float | None] = field(default_factory=dict)
    """Values of the columns that only the method fills in (`Method.REPORTS`)."""


@dataclass(frozen=True, eq=False)
class Onlooker:
    """Who looks at the pictures of a batch while they are optimised."""

    every: int | None
    """The steps between two looks, 0 for none, None for as many as are reasonable (`nst.config.previews`)."""
    show: Callable[[Mapping[str, int], Callable[[], np.ndarray]], None]
    """Takes the steps that each cell has taken, by its id, and a function that waits for the device and returns their
    small pictures in this order, uint8 of shape (B, H, W, 3). It returns at once and does not raise; the function may
    be called later and by another thread."""


class Workspace:
    """The warm state of one worker process on one device.

    Args:
        device: `cpu`, `cuda`, `cuda:1`, ...
        load_weights: Returns the tensors of a backbone under torchvision's names; not called for `random` weights.

    Attributes:
        backbones: The backbones used last.
        statistics: Statistics of the style images used last, by image, size, layers and backbone.
        features: Features of the content images used last.
        colors: Local colours of the content images used last, by image and size.
        networks: The trained networks used last.
        shots: Statistics of the shots of clips that networks held last.
        onlooker: Who looks at the pictures of the batch on their way (`watched_by`); None for nobody.
        tile: Largest side in pixels of the tiles in which a picture passes that is too large.
        room: Bytes of memory that a batch may take before its picture passes in tiles (`nst.losses.tiled.Tiled`).
    """

    onlooker: Onlooker | None = None
    tile: int = SIDES[0]
    room: float = math.inf

    def __init__(self, device: str, load_weights: Callable[[BackboneConfig], Mapping[str, Tensor]]) -> None:
        self.device = torch.device(device)
        self.load_weights = load_weights
        self.backbones: Recent[Backbone] = Recent(2)
        self.statistics: Recent[dict[str, tuple[Tensor, ...]]] = Recent(_ROOM_FOR_STATISTICS, bytes_of)
        self.features: Recent[dict[str, Tensor]] = Recent(_ROOM_FOR_FEATURES, bytes_of)
        self.colors: Recent[LocalColors] = Recent(_ROOM_FOR_COLORS, bytes_of)
        self.networks: Recent[Network] = Recent(4)
        self.shots: Recent[list[Statistics]] = Recent(_ROOM_FOR_SHOTS, bytes_of)

    def with_weights(self, digest: str, load_weights: Callable[[BackboneConfig], Mapping[str, Tensor]]) -> Workspace:
        """Return a workspace that loads the weights of backbones in another way and shares the memory of this one.

        Args:
            digest: Identity of the weights. Backbones and targets of other weights are not reused.
            load_weights: Returns the tensors of a backbone under torchvision's names.
        """
        other = copy(self)
        other.load_weights = load_weights
        other.backbones = self.backbones.owned_by(digest)
        other.statistics = self.statistics.owned_by(digest)
        other.features = self.features.owned_by(digest)
        return other

    def watched_by(self, onlooker: Onlooker) -> Workspace:
        """Return a workspace whose pictures somebody looks at, and which shares the memory of this one."""
        other = copy(self)
        other.onlooker = onlooker
        return other

    def backbone(self, config: BackboneConfig, layers: frozenset[str], dtype: torch.dtype) -> Backbone:
        """Return the backbone that returns these layers, built on first use.

        Raises:
            InputError: The weights of the backbone lack a layer.
        """

        def build() -> Backbone:
            weights = None if config.weights == "random" else self.load_weights(config)
            return build_backbone(config, layers, weights, device=self.device, dtype=dtype)

        return self.backbones.get((config, layers, dtype), build)

    def network(self, model: NetworkFile, dtype: torch.dtype) -> Network:
        """Return a trained network, built on first use.

        Raises:
            InputError: The file holds no known network, or its tensors do not fit.
        """

        def build() -> Network:
            network = network_from(*model.load()).to(device=self.device, dtype=dtype)
            memory_format = torch.channels_last if self.device.type == "cuda" else torch.contiguous_format
            return network.to(memory_format=memory_format).eval().requires_grad_(requires_grad=False)

        return self.networks.get((model.digest, dtype), build)

    def in_room(self, room: float, tile: int = SIDES[0]) -> Workspace:
        """Return a workspace with so many bytes for a batch, and tiles beyond, which shares the memory of this one."""
        other = copy(self)
        other.room, other.tile = room, tile
        return other

    def forget(self) -> None:
        """Drop everything that is kept, for instance after the device ran out of memory."""
        for recent in (self.backbones, self.statistics, self.features, self.colors, self.networks, self.shots):
            recent.clear()
