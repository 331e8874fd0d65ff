"""One pass of a trained network, for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from nst.config.feedforward import FeedforwardConfig
from nst.errors import InputError, NumericalError
from nst.losses.objective import arithmetic
from nst.methods.descent import configs_of, each_that_can
from nst.methods.exchange import Exchange
from nst.methods.guides import unmatched
from nst.methods.start import missing_image
from nst.networks.adain import AdainNet
from nst.networks.conditional import ConditionalNet
from nst.networks.doodle_net import DoodleNet
from nst.networks.texture_net import TextureNet
from nst.networks.tiling import run_in_tiles
from nst.ops import to_arrays, to_bytes
from nst.pictures.color import take_luminance
from nst.pictures.images import resize_to, target_size
from nst.pictures.metrics import CONSTANT
from nst.workspace import Stylized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.errors import NstError
    from nst.methods.descent import OnStep
    from nst.networks import Network
    from nst.workspace import Request, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one stylized image or error per request.

    Requests of one network and one size go through it together; larger ones than `tile` go in tiles, one by one.
    Losses are not measured.

    Source:
        The networks' own: `nst.networks`. Strength after training, by blending pictures, is ours; alpha of AdaIN is
        Huang & Belongie 2017, eq. 14.
    """
    refuse = partial(refusal, workspace=workspace)
    return each_that_can(requests, refuse, lambda able: _run(able, workspace, on_step))


def refusal(request: Request, workspace: Workspace) -> NstError | None:
    """Return why a request cannot run at all, or None: images or a network that it needs are absent or do not fit."""
    config = _config(request)
    if config.family == "doodle_net" and request.content_mask is None:
        return InputError("doodle_net paints masks, and the content has none", hint="give the content a mask")
    if config.family != "doodle_net" and (error := missing_image(request)):
        return error
    if request.model is None:
        return InputError(f"no model is given for {config.family} ({config.model})")
    try:
        network = workspace.network(request.model, _dtype(config))
    except InputError as error:
        return InputError(f"model {config.model}: {error.message}", hint=error.hint)
    return (
        _unfit_network(config, network)
        or _unfit_picture(request, network)
        or _unknown_style(request, network)
        or (_unknown_color(request, network) if isinstance(network, DoodleNet) else unmatched(request))
    )


def _unfit_network(config: FeedforwardConfig, network: Network) -> InputError | None:
    if network.family != config.family:
        return InputError(f"model {config.model} is of family {network.family}; family says {config.family}")
    found = "texture" if isinstance(network, TextureNet) and not network.guide else "stylize"
    if found != config.mode:
        return InputError(f"model {config.model} is for mode {found}; mode says {config.mode}")
    return None


def _unfit_picture(request: Request, network: Network) -> InputError | None:
    config, (width, height) = _config(request), _size(request)
    found = f"the picture would be {width} x {height} pixels"
    if min(width, height) < network.smallest:
        return InputError(f"{found}; this {network.family} network needs {network.smallest}", hint="raise size")
    if network.margin is None and width * height > config.tile**2:
        hint = f"a {network.family} cannot work in tiles: lower size or raise tile"
        return InputError(f"{found}, more than tile {config.tile} allows", hint=hint)
    if request.content_mask is not None and width * height > config.tile**2:
        hint = "masks cannot be cut into tiles: lower size or raise tile"
        return InputError(f"{found}, more than tile {config.tile} allows", hint=hint)
    return None


def _unknown_style(request: Request, network: Network) -> InputError | None:
    unknown = [style.digest[:12] for style in request.styles if style.digest not in network.styles]
    if not isinstance(network, ConditionalNet) or not unknown:
        return None
    found = f"model {_config(request).model} was not trained for the style {', '.join(unknown)}"
    return InputError(found, hint="add it by a training with this model as parent")


def _unknown_color(request: Request, network: DoodleNet) -> InputError | None:
    assert request.content_mask is not None, "refused before"
    try:
        network.match(request.content_mask)
    except InputError as error:
        hint = "paint it in the colours of the mask that the model was trained with"
        return InputError(f"model {_config(request).model}: {error.message}", hint=hint)
    return None


def _run(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None) -> list[Stylized]:
    groups: dict[tuple[str, int, int], list[int]] = {}
    for index, request in enumerate(requests):
        assert request.model is not None
        groups.setdefault((request.model.digest, *_size(request)), []).append(index)
    results: dict[int, Stylized] = {}
    for indices in groups.values():
        group = [requests[index] for index in indices]
        results.update(zip(indices, _Pass(group, workspace).run(), strict=True))
        if on_step is not None:
            on_step(len(results), len(requests))
    return [results[index] for index in range(len(requests))]


class _Pass:
    """Requests of one network and one size."""

    def __init__(self, requests: Sequence[Request], workspace: Workspace) -> None:
        self.requests, self.workspace = requests, workspace
        self.configs = configs_of(requests, FeedforwardConfig)
        self.config = self.configs[0]
        self.dtype = _dtype(self.config)
        self.size = _size(requests[0])
        assert requests[0].model is not None
        self.model = requests[0].model
        self.network: Network = workspace.network(self.model, self.dtype)
        self.broken: set[int] = set()
        """Requests for which the network gave values that are not finite."""

    def run(self) -> list[Stylized]:
        """Return one result per request."""
        width, height = self.size
        painted = not isinstance(self.network, DoodleNet)  # that looks at masks alone
        contents = [
            resize_to(one.content.array, width, height) if one.content and painted else None for one in self.requests
        ]
        with torch.no_grad(), arithmetic(self.config.precision, self.workspace.device):
            if width * height > self.config.tile**2:
                images = [self._tiled(index, content) for index, content in enumerate(contents) if content is not None]
            else:
                known = [content for content in contents if content is not None]
                pictures_B3HW = self._apply(range(len(self.requests)), np.stack(known) if known else None)
                images = list(to_arrays(to_bytes(pictures_B3HW)))
        return [
            _judge(request, image, content, broken=index in self.broken)
            for index, (request, image, content) in enumerate(zip(self.requests, images, contents, strict=True))
        ]

    def _tiled(self, index: int, content: np.ndarray) -> np.ndarray:
        def apply(tile: np.ndarray) -> Tensor:
            return self._apply([index], tile[None])

        return run_in_tiles(self.network, apply, content, self.config.tile, self.config.tile_statistics)

    def _apply(self, indices: Sequence[int], contents_BHW3: np.ndarray | None) -> Tensor:
        """Return the finished pictures of some requests, shape (B, 3, H, W), with zeros for what is not finite."""
        configs = [self.configs[index] for index in indices]
        photographs_B3HW = None if contents_BHW3 is None else self._tensor(contents_BHW3)
        alpha_B111 = (
            torch.tensor([one.alpha for one in configs]).view(-1, 1, 1, 1).to(self.workspace.device, self.dtype)
        )
        bfloat16 = self.config.precision == "bfloat16"
        with torch.autocast(self.workspace.device.type, torch.bfloat16, enabled=bfloat16):
            pictures_B3HW = self._network(indices, photographs_B3HW, alpha_B111).to(self.dtype)
        finite_B = pictures_B3HW.isfinite().flatten(1).all(1).tolist()
        self.broken |= {index for index, finite in zip(indices, finite_B, strict=True) if not finite}
        pictures_B3HW = pictures_B3HW.nan_to_num(0.0)
        if photographs_B3HW is None:
            return pictures_B3HW
        if not isinstance(self.network, AdainNet):
            pictures_B3HW = torch.lerp(photographs_B3HW, pictures_B3HW.clamp(0.0, 1.0), alpha_B111)
        colored_B3HW = take_luminance(pictures_B3HW.clamp(0.0, 1.0), photographs_B3HW)
        luminance_B = torch.tensor([one.color == "luminance" for one in configs], device=pictures_B3HW.device)
        return torch.where(luminance_B.view(-1, 1, 1, 1), colored_B3HW, pictures_B3HW)

    def _network(self, indices: Sequence[int], photographs_B3HW: Tensor | None, alpha_B111: Tensor) -> Tensor:
        network, requests = self.network, [self.requests[index] for index in indices]
        if isinstance(network, TextureNet):
            width, height = self.size
            seeds = [self.configs[index].seed for index in indices]
            guide = photographs_B3HW
            if isinstance(network, DoodleNet):
                shares = [network.regions(one.content_mask, width, height) for one in requests if one.content_mask]
                guide = torch.from_numpy(np.stack(shares)).to(self.workspace.device, self.dtype)
            pictures: Tensor = network(network.draw(height, width, seeds), guide)
        elif isinstance(network, ConditionalNet):
            pictures = network(photographs_B3HW, network.rows([_rows(one, network.styles) for one in requests]))
        elif isinstance(network, AdainNet):
            exchange = Exchange(network, (self.model.digest, self.config.precision), self.workspace, self._tensor)
            long_side = max(self.size) * self.config.style_scale
            mixes = [exchange.parts(one, self.size, long_side) for one in requests]
            pictures = network(photographs_B3HW, mixes, alpha_B111)
        else:
            pictures = network(photographs_B3HW)
        return pictures

    def _tensor(self, arrays_BHW3: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.require(arrays_BHW3, requirements=("C", "W"))).to(self.workspace.device)
        return tensor.permute(0, 3, 1, 2).to(self.dtype).div(255.0)


def _rows(request: Request, known: Sequence[str]) -> dict[int, float]:
    """Return the weight of each row of a conditional network."""
    weights: dict[int, float] = {}
    for style, weight in zip(request.styles, request.style_weights, strict=True):
        row = known.index(style.digest)
        weights[row] = weights.get(row, 0.0) + weight
    return weights


def _judge(request: Request, image: np.ndarray, content: np.ndarray | None, *, broken: bool) -> Stylized:
    reason = None
    if broken:
        reason = NumericalError("the network gave values that are not finite", hint="set precision: float32")
    elif _flat(image) and (content is None or not _flat(content)):
        reason = NumericalError("the picture is constant", hint="is the model damaged, or precision too low?")
    return Stylized(request.cell_id, None if reason else image, None, (), 1, reason)


def _flat(image: np.ndarray) -> bool:
    return bool(int(image.max()) - int(image.min()) < CONSTANT * 255.0)


def _size(request: Request) -> tuple[int, int]:
    config = _config(request)
    if config.mode == "texture" or not (shape := _shape(request)):
        return config.size, config.size
    rows, columns = shape[:2]
    return target_size(columns, rows, config.size, config.resize)


def _shape(request: Request) -> tuple[int, ...]:
    """Return the shape of the content image, of its mask if it is a mask alone, or () without either."""
    if request.content:
        return request.content.array.shape
    return request.content_mask.index.shape if request.content_mask else ()


def _config(request: Request) -> FeedforwardConfig:
    config = request.config
    assert isinstance(config, FeedforwardConfig)
    return config


def _dtype(config: FeedforwardConfig) -> torch.dtype:
    return torch.float64 if config.precision == "float64" else torch.float32
