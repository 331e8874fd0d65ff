"""Objectives that are computed tile by tile are those of the whole picture: losses and gradients, of every term."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cells import RANDOM, objective_of, picture, request, small, workspace

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.doodle import DoodleConfig
from nst.config.gatys import GatysConfig
from nst.config.invert import InvertConfig
from nst.config.mrf import MrfConfig
from nst.losses.deviations import DEVIATIONS
from nst.losses.style import STYLE_LOSSES
from nst.losses.tiled import Tiled, TiledObjective, plan_tiles
from nst.methods import stylize_batch
from nst.pictures.masks import Labels

WIDTH, HEIGHT = 43, 29
SHALLOW = {"content_layers": ["relu2_1"], "style_layers": ["relu1_1", "relu2_1"]}
DEEP = {"content_layers": ["relu3_1"], "style_layers": ["relu1_1", "relu2_1", "relu3_1"]}
HALVES = Labels("halves", ("#ff0000", "#0000ff"), np.repeat([[0], [1]], 16, 0).repeat(40, 1).astype(np.uint8))


def method(kind=GatysConfig, **settings):
    return small(kind, **{"precision": "float64", **SHALLOW, **settings})


CASES = {
    "gram": lambda: request(method()),
    "gram, three blocks": lambda: request(method(**DEEP)),
    "moments": lambda: request(method(style_representation="moments")),
    "sliced": lambda: request(method(style_representation="sliced")),
    "histogram": lambda: request(method(style_representation="histogram")),
    "average pooling": lambda: request(method(backbone={**RANDOM, "pooling": "average"})),
    "maxima": lambda: request(method(backbone={**RANDOM, "pooling": "max"})),
    "reflected": lambda: request(method(backbone={**RANDOM, "padding": "reflect"})),
    "edges": lambda: request(method(laplacian_weight=1.0, laplacian_pool=4, tv_weight=1.0)),
    "photorealism": lambda: request(method(photorealism_weight=1.0)),
    "pooled layer": lambda: request(method(style_layers=["pool1", "conv2_1"])),
    "masks": lambda: request(method(), mask=HALVES, style_masks=[HALVES]),
    "patches": lambda: request(method(MrfConfig, size=43), picture(0, 29, 43)),
    "doodle": lambda: request(
        method(DoodleConfig, how="patches", style_layers=["relu2_1"], pyramid={"levels": 1}),
        picture(0),
        mask=HALVES,
        style_masks=[HALVES],
    ),
    "inversion": lambda: request(small(InvertConfig, layer="relu2_1", precision="float64")),
}


def started(count=1):
    return torch.rand(count, 3, HEIGHT, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def in_tiles(objective, side):
    return TiledObjective(
        objective.backbone, objective.terms, objective.precision, Tiled(objective.backbone, objective.precision, side)
    )


@pytest.mark.parametrize("side", [16, 28])
@pytest.mark.parametrize("name", CASES)
def test_in_tiles_every_term_is_that_of_the_whole(name, side):
    objective = objective_of(CASES[name](), WIDTH, HEIGHT)
    tiled, start = in_tiles(objective, side), started()
    assert tiled.tile_of(start) == side  # or it would be compared with itself
    losses, gradient = objective.with_gradient(start)
    found, ours = tiled.with_gradient(start)
    torch.testing.assert_close(found.total, losses.total, rtol=1e-10, atol=0)
    assert (ours - gradient).norm() <= 1e-10 * gradient.norm()
    assert gradient.norm() > 0
    with torch.no_grad():
        for part, whole in zip(tiled(start).relative, objective(start).relative, strict=True):
            torch.testing.assert_close(part, whole, rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("loss", [*STYLE_LOSSES.values(), DEVIATIONS])
def test_statistics_are_means_where_a_loss_says_so(loss):
    """Those of the two halves of a map have those of the whole as their mean, and otherwise they have not."""
    features = torch.rand(1, 4, 6, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    left, right, whole = (loss.statistics(part) for part in (features[..., :5], features[..., 5:], features))
    halved = [
        (a + b) / 2 if a.shape == b.shape == c.shape else None for a, b, c in zip(left, right, whole, strict=True)
    ]
    are_means = all(h is not None and torch.allclose(h, c, rtol=1e-12) for h, c in zip(halved, whole, strict=True))
    assert loss.are_means == are_means


def test_a_batch_that_is_to_be_halved_is_so_before_its_first_step():
    requests = [request(method(pyramid={"levels": 2}), cell_id=name) for name in "ab"]
    with pytest.raises(MemoryError):
        stylize_batch(requests, workspace().in_room(1.0), lambda *_: pytest.fail("a step was done"))


def test_pictures_that_do_not_fit_together_are_to_be_halved_before_one_is_cut():
    """Tiles cost twice the time, smaller batches nothing."""
    objective = objective_of(CASES["gram"](), WIDTH, HEIGHT)
    two = replace(objective, terms=[replace(t, weights=t.weights.expand(2)) for t in objective.terms])
    with pytest.raises(MemoryError):
        in_tiles(two, 16).with_gradient(started(2))
    roomy = TiledObjective(two.backbone, two.terms, two.precision, Tiled(two.backbone, two.precision, 16, room=1e12))
    assert torch.equal(roomy.with_gradient(started(2))[1], two.with_gradient(started(2))[1])


@pytest.mark.parametrize(
    ("height", "width", "side"), [(61, 83, 30), (16, 16, 30), (64, 129, 48), (67, 40, 10), (18, 300, 33)]
)
@pytest.mark.parametrize("layer", ["relu1_1", "relu2_1", "relu3_1", "pool3"])
def test_tiles_own_every_position_once(layer, height, width, side):
    backbone = build_backbone(BackboneConfig(weights="random"), [layer, "relu1_1"], None)
    grids = backbone.grids(width, height)
    counts = {at: torch.zeros(1, 1, rows, columns) for at, (columns, rows) in grids.items()}
    for tile in plan_tiles(height, width, side, backbone):
        maps = {at: torch.zeros(1, 1, *(of(tile, axis, at, backbone) for axis in (0, 1))) for at in grids}
        for at, count in counts.items():
            own = tile.keep(maps[at], backbone.strides[at])
            assert own.numel()
            count[(..., *tile.place(backbone.strides[at]))] += torch.ones_like(own)
    assert all((count == 1).all() for count in counts.values())


def of(tile, axis, layer, backbone):
    first, last = tile.seen[axis]
    return backbone.grids(last - first, last - first)[layer][0]


def test_what_a_network_sees_beyond_a_tile_is_what_it_says():
    """The gradient of one position of the deepest layer is zero outside of its reach, and is not at the edge of it."""
    backbone = build_backbone(
        BackboneConfig(weights="random", pooling="average"), ["relu3_1"], None, dtype=torch.float64
    )
    stride, reach = backbone.reach
    side = 2 * (reach + 2 * stride)
    side -= side % stride
    images = torch.rand(
        1, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    middle = side // stride // 2
    (gradient,) = torch.autograd.grad(backbone(images)["relu3_1"][:, :, middle, middle].sum(), images)
    seen = gradient.abs().sum((0, 1, 3)).nonzero()[:, 0]
    assert (seen[0].item(), seen[-1].item()) == (middle * stride - reach, middle * stride + stride - 1 + reach)


def test_a_mutant_without_margins_is_found_out():
    objective = objective_of(CASES["gram"](), WIDTH, HEIGHT)
    start = started()

    class Blind(type(objective.backbone)):
        reach = (2, 0)

    objective.backbone.__class__ = Blind
    gradient = objective.with_gradient(start)[1]
    assert (in_tiles(objective, 16).with_gradient(start)[1] - gradient).norm() > 1e-4 * gradient.norm()
