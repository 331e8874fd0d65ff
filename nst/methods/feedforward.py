"""Stylization by one pass of a trained network, for a batch of cells at once.

Knows no file, no catalog and no family by name. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from nst.config.feedforward import FeedforwardConfig
from nst.config.training import refuse_to_paint
from nst.errors import InputError, NumericalError
from nst.losses.objective import arithmetic
from nst.methods.descent import configs_of, run_accepted
from nst.methods.guided import unmatched
from nst.methods.mixing import StyleMixer, painted_regions, shown_parts
from nst.methods.start import missing_image, picture_size
from nst.networks import Painting
from nst.networks.norm import held_statistics, joint_statistics
from nst.networks.tiling import run_in_tiles
from nst.ops import dtype_of, to_arrays, to_bytes, to_tensor
from nst.pictures.color import FINISHES, WHOLE
from nst.pictures.images import MAX_SIDE, resize_to
from nst.pictures.metrics import CONSTANT
from nst.workspace import Stylized

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from nst.errors import NstError
    from nst.methods.descent import OnStep
    from nst.networks import Network
    from nst.networks.network import Part
    from nst.networks.norm import Statistics
    from nst.networks.tiling import Tile
    from nst.workspace import FrameBefore, Request, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one stylized image or error per request.

    Requests of the same network and the same size pass together; pictures larger than `tile` x `tile` pixels pass one
    by one, in tiles. Losses are not measured. A network that enlarges is given the content at the size that the
    settings name, and its pictures are larger.

    Where the images have masks, `adain` exchanges statistics region by region within one pass. A network that has
    learned its styles makes a whole picture of each, of which each region takes its part; in regions without a style
    the photograph stays as it is.

    A frame of a clip is mixed with the frame before it, warped along the motion (`video.blend`), and passes with the
    statistics of its shot (`video.hold_statistics`).

    Source:
        The papers of the networks (`nst.networks`). `alpha` of `adain` is Huang & Belongie 2017, eq. 14; blending the
        content image with the result, for all other families, is our own choice.

    Example:
        >>> config = FeedforwardConfig(model="3f9c2a")
        >>> stylize_batch([Request("cell", content, (), (), "targets", config)], workspace)[0].error
        InputError('no model is given for johnson (3f9c2a)')
    """
    refuse = partial(refusal, workspace=workspace)
    return run_accepted(requests, refuse, lambda accepted: _run(accepted, workspace, on_step))


def refusal(request: Request, workspace: Workspace) -> NstError | None:
    """Return an error for a request whose images or network are missing or do not fit, or None."""
    config = _config(request)
    paints_masks = config.masks == "content"
    if not paints_masks and (error := missing_image(request)):
        return error
    if request.model is None:
        return InputError(f"no model is given for {config.family} ({config.model})")
    try:
        network = workspace.network(request.model, dtype_of(config.precision))
    except InputError as unreadable:
        return InputError(f"model {config.model}: {unreadable.message}", hint=unreadable.hint)
    if error := _unfit_network(config, network):
        return error
    if error := network.refusal([style.digest for style in request.styles], request.content_mask):
        return InputError(f"model {config.model}: {error.message}", hint=error.hint)
    partly = config.network.KNOWS != "any"
    return _unfit_picture(request, network) or (None if paints_masks else unmatched(request, partly=partly))


def _unfit_network(config: FeedforwardConfig, network: Network) -> InputError | None:
    try:
        refuse_to_paint(network.family)
    except InputError as error:
        return InputError(f"model {config.model}: {error.message}", hint=error.hint)
    if network.family != config.family:
        return InputError(f"model {config.model} is of family {network.family}; family says {config.family}")
    found = "texture" if network.from_noise else "stylize"
    if found != config.mode:
        return InputError(f"model {config.model} is for mode {found}; mode says {config.mode}")
    return None


def _unfit_picture(request: Request, network: Network) -> InputError | None:
    config, size = _config(request), picture_size(request)
    width, height = (network.factor * side for side in size)
    found = f"the picture would be {width} x {height} pixels"
    if min(size) < network.smallest:
        needed = network.factor * network.smallest
        return InputError(f"{found}; this {network.family} network needs {needed}", hint="raise size")
    if max(width, height) > MAX_SIDE:
        return InputError(f"{found}, more than {MAX_SIDE:,} on a side", hint="lower size")
    if not _needs_tiles(config, network, size):
        return None
    too_large = f"{found}, more than tile {config.tile} allows"
    if network.margin is None:
        return InputError(too_large, hint=f"a {network.family} cannot work in tiles: lower size or raise tile")
    return None


def _needs_tiles(config: FeedforwardConfig, network: Network, size: tuple[int, int]) -> bool:
    """Return whether the picture that the network makes at this size has more pixels than a tile."""
    return size[0] * size[1] * network.factor**2 > config.tile**2


def _run(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None) -> list[Stylized]:
    groups: dict[tuple[str, int, int], list[int]] = {}
    for index, request in enumerate(requests):
        assert request.model is not None
        groups.setdefault((request.model.digest, *picture_size(request)), []).append(index)
    results: dict[int, Stylized] = {}
    for indices in groups.values():
        group = [requests[index] for index in indices]
        results.update(zip(indices, _Pass(group, workspace).run(), strict=True))
        if on_step is not None:
            on_step(len(results), len(requests))
    return [results[index] for index in range(len(requests))]


class _Pass:
    """One pass of requests with the same network and the same size."""

    def __init__(self, requests: Sequence[Request], workspace: Workspace) -> None:
        self.requests, self.workspace = requests, workspace
        self.configs = configs_of(requests, FeedforwardConfig)
        self.config = self.configs[0]
        self.dtype = dtype_of(self.config.precision)
        self.size = picture_size(requests[0])
        assert requests[0].model is not None
        self.network: Network = workspace.network(requests[0].model, self.dtype)
        self.mixer = StyleMixer(
            self.network, (requests[0].model.digest, self.config.precision), workspace, self._tensor
        )
        self.broken: set[int] = set()
        """Indices of the requests for which the network gave values that are not finite."""

    def run(self) -> list[Stylized]:
        """Return one result per request."""
        width, height = self.size
        over_photographs = self.config.masks != "content"
        contents = [
            resize_to(request.content.array, width, height) if request.content and over_photographs else None
            for request in self.requests
        ]
        with torch.no_grad(), arithmetic(self.config.precision, self.workspace.device):
            if _needs_tiles(self.config, self.network, self.size):
                images = [self._tiled(index, content) for index, content in enumerate(contents) if content is not None]
            else:
                pictures_B3HW = self._whole([content for content in contents if content is not None])
                images = list(to_arrays(to_bytes(pictures_B3HW)))
        images = [
            image if content is None else self.network.finish(image, content)
            for image, content in zip(images, contents, strict=True)
        ]
        images = [
            blend(image, request.before[0], self.config.video.blend) if request.before else image
            for image, request in zip(images, self.requests, strict=True)
        ]
        return [
            _judge(request, image, content, broken=index in self.broken)
            for index, (request, image, content) in enumerate(zip(self.requests, images, contents, strict=True))
        ]

    def _whole(self, contents: Sequence[np.ndarray]) -> Tensor:
        """Return the pictures of all requests, (B, 3, H, W), made without tiles."""
        stacked_BHW3 = np.stack(contents) if contents else None
        if stacked_BHW3 is None or not any(request.shot for request in self.requests):
            return self._apply(range(len(self.requests)), stacked_BHW3)
        pictures = []
        for index, content_HW3 in enumerate(stacked_BHW3):  # one by one: the statistics depend on the style
            with held_statistics(self.network, self._of_shot(index)):
                pictures.append(self._apply([index], content_HW3[None]))
        return torch.cat(pictures)

    def _of_shot(self, index: int) -> list[Statistics]:
        """Return the statistics of the shot of a request, from memory if kept."""
        request = self.requests[index]
        assert request.model is not None
        images = tuple(image.key for image in (*request.shot, *request.styles))
        key = (request.model.digest, images, request.style_weights, self.size, self.config.precision)

        def compute() -> list[Statistics]:
            frames = np.stack([resize_to(frame.array, *self.size) for frame in request.shot])
            return joint_statistics(self.network, lambda: self._apply([index] * len(frames), frames))

        return self.workspace.shots.get(key, compute)

    def _tiled(self, index: int, content: np.ndarray) -> np.ndarray:
        request, by_pixel = self.requests[index], self.config.color not in WHOLE
        if request.content_mask and self.config.network.KNOWS != "any":
            photograph_13HW = self._tensor(content[None])

            def paint(part: Request) -> Tensor:
                return self._tensor(self._in_tiles(index, part, content, colored=False)[None])

            return _array(self._by_region(index, photograph_13HW, paint))
        image = self._in_tiles(index, request, content, colored=by_pixel)
        if by_pixel or self.network.factor > 1:
            return image
        return _array(self._colored(self._tensor(image[None]), self._tensor(content[None])))

    def _in_tiles(self, index: int, request: Request, content: np.ndarray, *, colored: bool) -> np.ndarray:
        """Return the picture that the network makes of a request, which stands for the cell with this index."""

        def apply(seen: np.ndarray, tile: Tile | None) -> Tensor:
            photograph_13HW = self._tensor(seen[None])
            picture_13HW = self._paint([index], [request], photograph_13HW, tile)
            return self._colored(picture_13HW, photograph_13HW) if colored else picture_13HW

        side, masked = self.config.tile // self.network.factor, bool(request.content_mask)
        calls = len(self._mixes([request])[0]) if masked and self.config.network.KNOWS == "any" else 1
        return run_in_tiles(self.network, apply, content, side, self.config.tile_statistics, calls=calls)

    def _apply(self, indices: Sequence[int], contents_BHW3: np.ndarray | None) -> Tensor:
        """Return the pictures of the requests with these indices, (B, 3, H, W); values not finite become 0."""
        if contents_BHW3 is None:
            return self._paint(indices, [self.requests[index] for index in indices], None)
        photographs_B3HW = self._tensor(contents_BHW3)
        by_region = self.config.network.KNOWS != "any"
        if by_region and any(self.requests[index].content_mask for index in indices):
            if len(indices) > 1:  # one by one, since each request has regions of its own
                pairs = zip(indices, contents_BHW3, strict=True)
                return torch.cat([self._apply([index], content_HW3[None]) for index, content_HW3 in pairs])
            return self._by_region(
                indices[0], photographs_B3HW, lambda part: self._paint(indices, [part], photographs_B3HW)
            )
        pictures_B3HW = self._paint(indices, [self.requests[index] for index in indices], photographs_B3HW)
        return self._colored(pictures_B3HW, photographs_B3HW)

    def _by_region(self, index: int, photograph_13HW: Tensor, paint: Callable[[Request], Tensor]) -> Tensor:
        """Return the picture of a request with masks, put together from a picture of each blend of its styles.

        Args:
            index: Number of the request.
            photograph_13HW: Its photograph.
            paint: Returns the picture of a request that has the styles of some regions alone.
        """
        painted_13HW, covered_11HW = torch.zeros_like(photograph_13HW), torch.zeros_like(photograph_13HW[:, :1])
        for part, shares_HW in painted_regions(self.requests[index], self.size):
            shares_11HW = torch.from_numpy(shares_HW).to(photograph_13HW)[None, None]
            painted_13HW = painted_13HW + shares_11HW * paint(part)
            covered_11HW = covered_11HW + shares_11HW
        painted_13HW = torch.where(covered_11HW > 0.0, painted_13HW / covered_11HW, photograph_13HW)
        colored_13HW = self._colored(painted_13HW, photograph_13HW)
        # The photograph is put back last, so that it keeps every value where there is no style.
        return torch.lerp(photograph_13HW, colored_13HW.clamp(0.0, 1.0), covered_11HW.clamp_max(1.0))

    def _paint(
        self,
        indices: Sequence[int],
        requests: Sequence[Request],
        photographs_B3HW: Tensor | None,
        tile: Tile | None = None,
    ) -> Tensor:
        """Return the pictures that the network makes of requests, which stand for the cells with these indices.

        Args:
            indices: Numbers of the cells.
            requests: What is painted.
            photographs_B3HW: Their photographs, or `tile` of them; None where the network needs none.
            tile: None for whole photographs, of the size of the pictures or shrunk.
        """
        bfloat16 = self.config.precision == "bfloat16"
        with torch.autocast(self.workspace.device.type, torch.bfloat16, enabled=bfloat16):
            painting = self._painting(requests, photographs_B3HW, tile)  # it encodes the styles
            pictures_B3HW = self.network.paint(painting).to(self.dtype)
        finite_B = pictures_B3HW.isfinite().flatten(1).all(1).tolist()
        self.broken |= {index for index, finite in zip(indices, finite_B, strict=True) if not finite}
        pictures_B3HW = pictures_B3HW.nan_to_num(0.0)
        if photographs_B3HW is None or self.network.blends or self.network.factor > 1:
            return pictures_B3HW
        return torch.lerp(photographs_B3HW, pictures_B3HW.clamp(0.0, 1.0), painting.alpha)

    def _colored(self, pictures_B3HW: Tensor, photographs_B3HW: Tensor) -> Tensor:
        """Return the pictures with the colours that the settings ask for."""
        if self.config.color not in FINISHES or self.network.factor > 1:
            return pictures_B3HW
        return FINISHES[self.config.color](pictures_B3HW.clamp(0.0, 1.0), photographs_B3HW)

    def _painting(self, requests: Sequence[Request], photographs_B3HW: Tensor | None, tile: Tile | None) -> Painting:
        """Return what the network is to paint, with only those styles and masks that its family looks at."""
        (width, height), knows = self.size, self.config.network.KNOWS
        configs = configs_of(requests, FeedforwardConfig)
        alphas = torch.tensor([config.alpha for config in configs]).view(-1, 1, 1, 1)
        return Painting(
            (height, width),
            photographs_B3HW,
            [config.seed for config in configs],
            rows=[_rows(request, self.network.styles) for request in requests] if knows == "many" else (),
            mixes=self._mixes(requests, photographs_B3HW, tile) if knows == "any" else (),
            masks=self._masks(requests) if self.config.masks == "content" else None,
            alpha=alphas.to(self.workspace.device, self.dtype),
        )

    def _mixes(
        self, requests: Sequence[Request], photographs_B3HW: Tensor | None = None, tile: Tile | None = None
    ) -> list[list[Part]]:
        """Return the styles of each request with their shares, of those positions that the photographs show."""
        long_side = max(self.size) * self.config.style_scale
        mixes = [self.mixer.mix(request, self.size, long_side) for request in requests]
        if photographs_B3HW is None or photographs_B3HW.shape[2:] == self.size[::-1]:
            return mixes
        rows, columns = photographs_B3HW.shape[2:]
        return [shown_parts(parts, self.network.multiple, (rows, columns), tile) for parts in mixes]

    def _masks(self, requests: Sequence[Request]) -> Tensor:
        masks = [request.content_mask for request in requests]
        shares = [self.network.regions(mask, *self.size) for mask in masks if mask is not None]
        return torch.from_numpy(np.stack(shares)).to(self.workspace.device, self.dtype)

    def _tensor(self, arrays_BHW3: np.ndarray) -> Tensor:
        return to_tensor(arrays_BHW3, self.workspace.device, self.dtype)


def _array(picture_13HW: Tensor) -> np.ndarray:
    """Return a picture as HWC uint8."""
    array_HW3: np.ndarray = to_arrays(to_bytes(picture_13HW))[0]
    return array_HW3


def blend(image_HW3: np.ndarray, before: FrameBefore, share: float) -> np.ndarray:
    """Return a frame mixed with the frame before it, warped, wherever the motion is certain; HWC uint8.

    Args:
        image_HW3: The frame by itself, HWC uint8.
        before: The frame before.
        share: Share of the frame before where the motion is certain.
    """
    share_HW1 = (share * before.weights)[..., None]
    mixed_HW3 = (1.0 - share_HW1) * (image_HW3 / np.float32(255.0)) + share_HW1 * before.picture
    rounded: np.ndarray = np.rint(mixed_HW3 * 255.0).astype(np.uint8)
    return rounded


def _rows(request: Request, known: Sequence[str]) -> dict[int, float]:
    """Return the weights of a request's styles by their rows in a network that knows many styles (`known` digests)."""
    weights: dict[int, float] = {}
    for style, weight in zip(request.styles, request.style_weights, strict=True):
        row = known.index(style.digest)
        weights[row] = weights.get(row, 0.0) + weight
    return weights


def _judge(request: Request, image: np.ndarray, content: np.ndarray | None, *, broken: bool) -> Stylized:
    error = None
    if broken:
        error = NumericalError("the network gave values that are not finite", hint="set precision: float32")
    elif _flat(image) and (content is None or not _flat(content)):
        error = NumericalError("the picture is constant", hint="is the model damaged, or precision too low?")
    return Stylized(request.cell_id, None if error else image, None, (), 1, error)


def _flat(image: np.ndarray) -> bool:
    return bool(int(image.max()) - int(image.min()) < CONSTANT * 255.0)


def _config(request: Request) -> FeedforwardConfig:
    config = request.config
    assert isinstance(config, FeedforwardConfig)
    return config
