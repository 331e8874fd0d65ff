"""Style by regions: Gram matrices of regions in closed form, one weight for regions of every size, no leak."""

import numpy as np
import pytest
import torch

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.gatys import GatysConfig
from nst.errors import InputError
from nst.losses.guided import GuidedStyle, Region, guide
from nst.losses.style import STYLE_LOSSES, style_target
from nst.methods import stylize_batch
from nst.methods.guided import grids
from nst.ops import gram_matrix
from nst.pictures.images import Pixels
from nst.pictures.masks import Labels, plain_labels, read_labels
from nst.workspace import Request, Workspace

GRAM = STYLE_LOSSES["gram"]
RED, BLUE = "#ff0000", "#0000ff"


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def target(gram_CC):
    return style_target(GRAM, [([(gram_CC[None],)], [1.0], "targets")])


def halves(height, width, split):
    """Shares of a left region of `split` columns and of the rest."""
    left = torch.zeros(height, width, dtype=torch.float64)
    left[:, :split] = 1.0
    return left, 1.0 - left


def test_the_gram_matrix_of_a_region_is_that_of_the_region_cut_out():
    features = random(2, 5, 6, 8)
    left, right = halves(6, 8, 3)
    torch.testing.assert_close(gram_matrix(guide(features, left)), gram_matrix(features[..., :3]))
    torch.testing.assert_close(gram_matrix(guide(features, right)), gram_matrix(features[..., 3:]))


def test_gram_matrices_of_soft_regions_add_up_to_that_of_the_picture():
    features = random(1, 5, 6, 8)
    shares = torch.softmax(random(3, 6, 8, seed=1), 0)
    parts = sum(part.mean() * gram_matrix(guide(features, part)) for part in shares)
    torch.testing.assert_close(parts, gram_matrix(features))


def test_the_loss_of_two_regions_in_closed_form():
    """Features (3, 0) on one column of four and (0, 2) on the others; targets diag(1, 0) and diag(0, 1)."""
    left, right = halves(4, 4, 1)
    features = torch.stack([3.0 * left, 2.0 * right])[None]
    loss = GuidedStyle([Region(left, target(torch.tensor([[1.0, 0], [0, 0]], dtype=torch.float64))),
                        Region(right, target(torch.tensor([[0.0, 0], [0, 1]], dtype=torch.float64)))])  # fmt: skip
    torch.testing.assert_close(loss(features), torch.tensor([0.25 * (9 - 1) ** 2 + 0.75 * (4 - 1) ** 2]).double())


def test_regions_may_lie_elsewhere_in_each_image_and_be_absent():
    features, one = random(2, 3, 4, 5), torch.softmax(random(2, 4, 5, seed=1), 0)
    styles = [target(gram_matrix(random(1, 3, 4, 4, seed=n))[0]) for n in range(2)]
    none, whole = torch.zeros(4, 5, dtype=torch.float64), torch.ones(4, 5, dtype=torch.float64)
    shares = torch.stack([one, torch.stack([none, whole])], 1)  # of two regions in two images
    together = GuidedStyle([Region(*region) for region in zip(shares, styles, strict=True)])(features)
    alone = GuidedStyle([Region(*region) for region in zip(one, styles, strict=True)])(features[:1])
    without = GuidedStyle([Region(whole, styles[1])])(features[1:])
    torch.testing.assert_close(together, torch.cat([alone, without]))


def test_the_loss_has_the_gradient_of_its_value():
    shares = torch.softmax(random(3, 4, 5, seed=1), 0)
    regions = [Region(part, target(gram_matrix(random(1, 3, 4, 4, seed=n))[0])) for n, part in enumerate(shares)]
    assert torch.autograd.gradcheck(GuidedStyle(regions), random(2, 3, 4, 5).requires_grad_())


def pull(loss, features, split):
    """Root mean square of the gradient per position of the left region and of the right one."""
    features = features.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(features).sum(), features)
    return [part.square().mean().sqrt().item() for part in (gradient[..., :split], gradient[..., split:])]


def test_a_small_region_is_pulled_as_strongly_as_a_large_one():
    """The same features and the same target in both regions, one 15 times as large as the other."""
    tile = random(1, 4, 8, 2)
    features = tile.repeat(1, 1, 1, 16)
    left, right = halves(8, 32, 2)
    style = gram_matrix(random(1, 4, 8, 8, seed=3))[0]
    small, large = pull(GuidedStyle([Region(left, target(style)), Region(right, target(style))]), features, 2)
    assert small == pytest.approx(large, rel=1e-9)

    def by_all_positions(features_BCHW):
        """cysmith/neural-style-tf: masked features, Gram matrices divided by H W on both sides."""
        losses = [
            (gram_matrix(features_BCHW * part) - part.mean() * style).square().sum((1, 2)) for part in (left, right)
        ]
        return sum(losses)

    small, large = pull(by_all_positions, features, 2)
    assert small == pytest.approx(large / 15, rel=1e-9)


def test_a_region_with_little_energy_counts_as_much_as_one_with_much():
    """The second style is the first at a thousandth of its contrast; so is the picture there."""
    features = random(1, 4, 8, 16)
    features[..., 8:] = features[..., :8] * 1e-3
    left, right = halves(8, 16, 8)
    style = gram_matrix(random(1, 4, 8, 8, seed=3))[0]
    together = GuidedStyle([Region(left, target(style)), Region(right, target(style * 1e-6))])
    alone = GuidedStyle([Region(left, target(style)), Region(right, target(style * 1e-6))][:1])
    torch.testing.assert_close(together(features), 2.0 * alone(features))


def seen_by(layer):
    """Pixels to the left and right of its first one that a position of a layer of VGG-19 sees, by hand."""
    return {"relu1_1": (1, 1), "relu1_2": (2, 2), "relu2_1": (4, 5), "relu3_1": (10, 13)}[layer]


@pytest.mark.parametrize("layer", ["relu1_1", "relu1_2", "relu2_1", "relu3_1"])
def test_a_regions_style_pulls_only_at_what_the_region_sees(layer):
    size, split = 64, 16  # the region is the 16 left columns, a multiple of every layer's step
    backbone = build_backbone(
        BackboneConfig(weights="random"), {layer}, None, device=torch.device("cpu"), dtype=torch.float64
    )
    labels = read_labels("d", np.array([[(255, 0, 0)] * split + [(0, 0, 255)] * (size - split)] * size, np.uint8))
    red = labels.colors.index(RED)
    positions = grids(backbone, (size, size))[layer]
    shares = torch.from_numpy(labels.shares(red, *positions)).double()
    picture = random(1, 3, size, size).sigmoid().requires_grad_()
    style = target(gram_matrix(backbone(random(1, 3, 32, 32, seed=1).sigmoid())[layer])[0])
    loss = GuidedStyle([Region(shares, style)])
    (gradient,) = torch.autograd.grad(loss(backbone(picture)[layer]).sum(), picture)
    step = size // positions[0]
    last = split - step + seen_by(layer)[1]
    assert (gradient[..., last + 1 :] == 0).all()
    assert (gradient[..., last] != 0).any()
    assert (gradient[..., 0] != 0).any()


# ---- the method ---------------------------------------------------------------------------------------------------
def picture(seed, height=32, width=40):
    coarse = np.random.default_rng(seed).integers(0, 256, size=(height // 4, width // 4, 3))
    return Pixels(f"digest-{seed}", np.kron(coarse, np.ones((4, 4, 1))).astype(np.uint8))


def tinted(seed, color):
    coarse = picture(seed, 32, 32).array
    return Pixels(f"tinted-{seed}", (coarse * np.array(color)).astype(np.uint8))


CONTENT = picture(0)
MASK = Labels("mask", (RED, BLUE), np.array([[0] * 20 + [1] * 20] * 32, np.uint8))


def settings(**changes):
    fields = {"backbone": {"weights": "random"}, "size": 40, "steps": 8, "precision": "float64",
              "content_layers": ["relu2_1"], "style_layers": ["relu1_1", "relu2_1"]}  # fmt: skip
    return GatysConfig(**{**fields, **changes})


def request(styles, masks, content_mask=MASK, mix="targets", **changes):
    weights = tuple(1 / len(styles) for _ in styles)
    return Request("cell", CONTENT, tuple(styles), weights, mix, settings(**changes), content_mask, tuple(masks))


def workspace():
    return Workspace("cpu", lambda config: pytest.fail(f"random weights are not loaded: {config}"))


def test_two_styles_in_two_regions_each_give_theirs():
    red, blue = tinted(1, (1.0, 0.1, 0.1)), tinted(2, (0.1, 0.1, 1.0))
    masks = [plain_labels(RED), plain_labels(BLUE)]
    (result,) = stylize_batch([request([red, blue], masks, style_weight=1e4, steps=25, init="noise")], workspace())
    left, right = result.image[:, :16].mean((0, 1)), result.image[:, 24:].mean((0, 1))
    assert left[0] > left[2] + 60
    assert right[2] > right[0] + 60
    (swapped,) = stylize_batch(
        [request([red, blue], masks[::-1], style_weight=1e4, steps=25, init="noise")], workspace()
    )
    assert swapped.image[:, :16].mean((0, 1))[2] > swapped.image[:, :16].mean((0, 1))[0] + 60


@pytest.mark.parametrize("mix", ["targets", "losses"])
def test_one_region_is_the_method_without_masks(mix):
    styles = [picture(1), picture(2)]
    whole = plain_labels(RED)
    (guided,) = stylize_batch([request(styles, [whole, whole], whole, mix)], workspace())
    (plain,) = stylize_batch([request(styles, [], None, mix)], workspace())
    np.testing.assert_array_equal(guided.image, plain.image)
    assert guided.losses.terms["style"].layers == pytest.approx(plain.losses.terms["style"].layers, rel=1e-9)


def test_a_batch_of_masked_styles_equals_its_cells_alone():
    checks = Labels("checks", (BLUE, RED), np.indices((4, 4)).sum(0).astype(np.uint8) % 2)
    requests = [
        request([picture(1)], [checks], seed=1, init="noise"),
        request([picture(2), picture(3)], [plain_labels(RED), plain_labels(BLUE)], seed=2, init="noise"),
        request([picture(2), picture(3)], [checks, plain_labels(BLUE)], mix="losses", seed=3, init="noise"),
    ]
    together = stylize_batch(requests, workspace())
    for one, result in zip(requests, together, strict=True):
        (alone,) = stylize_batch([one], workspace())
        assert result.losses.terms["style"].loss == pytest.approx(alone.losses.terms["style"].loss, rel=1e-3)
        assert np.abs(result.image.astype(int) - alone.image).max() <= 2


def test_masks_that_do_not_fit_fail_their_own_cell():
    good = request([picture(1)], [MASK])
    bad = request([picture(1)], [plain_labels(RED)])
    half = request([picture(1), picture(2)], [MASK])
    ours, lacking, missing = stylize_batch([good, bad, half], workspace())
    assert ours.error is None
    assert isinstance(lacking.error, InputError)
    assert f"nothing for {BLUE}" in str(lacking.error)
    assert "to all of them or to none" in str(missing.error)


def test_regions_of_a_style_are_summarised_once():
    room = workspace()
    stylize_batch([request([picture(1)], [MASK], seed=seed, steps=1) for seed in range(3)], room)
    assert (room.statistics.misses, room.statistics.hits) == (1, 2)
