"""Small pictures, and the requests, workspaces and runs that the tests of methods, networks and trainings share."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

import numpy as np
import pytest

from nst.backbones import Backbone
from nst.methods import stylize_batch
from nst.methods.descent import Descent
from nst.pictures.images import Pixels
from nst.workspace import FrameBefore, Request, Stylized, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch

    from nst.config.method import Method
    from nst.losses.objective import Objective
    from nst.pictures.masks import Labels
    from nst.workspace import NetworkFile

Config = TypeVar("Config")

RANDOM = {"weights": "random"}
"""A backbone without a file."""

LAYERS = {"content_layers": ["relu2_1"], "style_layers": ["relu1_1", "relu2_1"]}


def blocks(seed: int, height: int = 32, width: int = 40, *, side: int = 4) -> np.ndarray:
    """Return squares of random colours, HWC uint8; those at the right and the lower border may be cut."""
    size = (-(-height // side), -(-width // side), 3)
    coarse = np.random.default_rng(seed).integers(0, 256, size=size)
    return coarse.astype(np.uint8).repeat(side, 0).repeat(side, 1)[:height, :width]


def picture(seed: int, height: int = 32, width: int = 40) -> Pixels:
    """Return `blocks` as a decoded image."""
    return Pixels(f"blocks-{seed}-{height}x{width}", blocks(seed, height, width))


CONTENT = picture(0)
STYLES = [picture(seed, 36, 36) for seed in range(1, 9)]


def small(method: type[Config], **settings: Any) -> Config:
    """Return settings of a method for pictures of 40 pixels and random weights, with these ones changed."""
    return method(**{"backbone": RANDOM, "size": 40, **settings})


def workspace(weights: Mapping[str, torch.Tensor] | None = None) -> Workspace:
    """Return a workspace on the CPU whose backbones have these weights; without any, loading some fails the test."""
    return Workspace("cpu", lambda config: weights or pytest.fail(f"no weights are to be loaded: {config}"))


def request(
    config: Method,
    content: Pixels | None = CONTENT,
    styles: Sequence[Pixels] = STYLES[:1],
    weights: Sequence[float] = (),
    *,
    mix: str = "targets",
    cell_id: str = "cell",
    mask: Labels | None = None,
    style_masks: Sequence[Labels] = (),
    model: NetworkFile | None = None,
    start: Pixels | None = None,
    before: Sequence[FrameBefore] = (),
) -> Request:
    """Return one cell; styles without weights count equally."""
    shares = tuple(weights) or (1.0,) * len(styles)
    return Request(
        cell_id,
        content,
        tuple(styles),
        shares,
        mix,
        config,
        mask,
        tuple(style_masks),
        model,
        start,
        before=tuple(before),
    )


def run(*requests: Request) -> list[Stylized]:
    """Return the results of one batch."""
    return stylize_batch(requests, workspace())


def pictures_of(*requests: Request) -> list[np.ndarray]:
    """Return the pictures of one batch, signed so that they can be subtracted; none may have failed."""
    results = run(*requests)
    assert [result.error for result in results] == [None] * len(requests)
    return [result.image.astype(int) for result in results]


def together_and_alone(*requests: Request) -> Iterator[tuple[Stylized, Stylized]]:
    """Yield each request's result in a batch of all of them, and in a batch of its own."""
    for together, one in zip(run(*requests), requests, strict=True):
        (alone,) = run(one)
        yield together, alone


def objective_of(one: Request, width: int = 40, height: int = 32) -> Objective:
    """Return what a method hands to its descent to measure pictures of a size by."""
    kept: list[Descent] = []

    def keep(descent: Descent, on_step: object) -> list[Stylized]:
        kept.append(descent)
        return [Stylized(one.cell_id, None, None, (), 0)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Descent, "run", keep)
        run(one)
    return kept[0].objective(width, height)


@contextmanager
def seen_by_backbones() -> Iterator[list[int]]:
    """Give a list that receives the number of pictures of every call of a backbone: 1 for targets of a larger batch."""
    seen: list[int] = []

    maps = Backbone.maps

    def look(backbone: Backbone, images_BCHW: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        if not images_BCHW.is_meta:  # shapes alone are asked for without pixels
            seen.append(len(images_BCHW))
        return maps(backbone, images_BCHW)

    with patch.object(Backbone, "maps", look):
        yield seen


def losses_of(result: Stylized) -> list[float]:
    """Return the losses of a result's trace."""
    return [row.loss for row in result.trace]


def farthest(image: Any, other: Any) -> int:
    """Return the largest difference of two pictures' values."""
    return int(np.abs(image.astype(int) - other).max())
