"""The photorealism loss against pymatting, against regressions window by window, and what it does to pictures."""

from functools import partial

import numpy as np
import pytest
import torch
from cells import CONTENT, LAYERS, farthest, objective_of, picture, request, run, small

from nst.config.gatys import GatysConfig
from nst.config.mrf import MrfConfig
from nst.losses.matting import ENERGY_FLOOR, local_colors, matting_laplacian, photorealism_loss
from nst.losses.units import photorealism_factor
from nst.pictures.masks import Labels

settings = partial(small, GatysConfig, **LAYERS, steps=4)
ROWS, COLUMNS = 11, 14
HALVES = Labels("halves", ("#ff0000", "#0000ff"), np.repeat([[0], [1]], 16, 0).repeat(40, 1).astype(np.uint8))


@pytest.fixture
def content(draw):
    """A picture in 8 bits, whose colours are correlated as in photographs."""
    colors = (draw(1, 1, ROWS, COLUMNS, seed=3) + 0.2 * draw(1, 3, ROWS, COLUMNS, seed=4)).sigmoid()
    return (colors.double() * 255.0).round() / 255.0


@pytest.fixture
def images(draw):
    return draw(2, 3, ROWS, COLUMNS, seed=5).sigmoid()


def by_regressions(image_CHW, content_3HW):
    """L x window by window: what a least-squares solver leaves over, with the ridge as three more equations."""
    products = np.zeros_like(image_CHW)
    ridge = np.sqrt(1e-7) * np.eye(3, 4)
    for row in range(image_CHW.shape[1] - 2):
        for column in range(image_CHW.shape[2] - 2):
            window = (..., slice(row, row + 3), slice(column, column + 3))
            colors = np.c_[content_3HW[window].reshape(3, 9).T, np.ones(9)]
            values = image_CHW[window].reshape(-1, 9).T
            augmented = np.r_[values, np.zeros((3, values.shape[1]))]
            map_ = np.linalg.lstsq(np.r_[colors, ridge], augmented, rcond=None)[0]
            products[window] += (values - colors @ map_).T.reshape(-1, 3, 3)
    return products


def hwc(image):
    return np.ascontiguousarray(image.double().cpu().permute(1, 2, 0).numpy())


def test_it_is_pymattings(content, images, pymatting):
    """Not of grey or of two colours in a window: there pymatting, which inverts by determinants, is off by 1e-4."""
    matrix = pymatting.cf_laplacian(hwc(content[0]), epsilon=1e-7)
    known = local_colors(content)
    ours = matting_laplacian(images.double(), known).cpu().numpy()
    expected = np.stack([[matrix @ channel.ravel() for channel in image] for image in images.double().cpu().numpy()])
    np.testing.assert_allclose(ours, expected.reshape(ours.shape), rtol=0, atol=1e-6 * np.abs(expected).max())
    forms = (images.double().cpu().numpy().reshape(expected.shape) * expected).sum((1, 2))
    losses = photorealism_loss(images.double(), known) * photorealism_factor("paper", known.energy)
    np.testing.assert_allclose(losses.cpu().numpy(), forms, rtol=1e-6)


@pytest.mark.parametrize("kind", ["coloured", "grey", "flat"])
def test_it_is_what_regressions_leave_over(kind, content, images):
    content = {"coloured": content, "grey": content[:, :1].expand(1, 3, -1, -1), "flat": content * 0.0 + 0.4}[kind]
    expected = by_regressions(images[0].double().cpu().numpy(), content[0].cpu().numpy())
    ours = matting_laplacian(images[:1].double(), local_colors(content))[0].cpu().numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-8)


def test_of_a_flat_content_it_counts_windows_and_subtracts_means(device, dtype):
    """In the corner one window holds a dot of height 1: 1 - 1/9 stays there, and -1/9 at its eight neighbours."""
    dot = torch.zeros(1, 1, 5, 5, device=device, dtype=torch.float64)
    dot[..., 0, 0] = 1.0
    expected = torch.zeros_like(dot)
    expected[..., :3, :3] = -1.0 / 9.0
    expected[..., 0, 0] += 1.0
    flat = local_colors(torch.full((1, 3, 5, 5), 0.5, device=device, dtype=dtype))
    torch.testing.assert_close(matting_laplacian(dot, flat), expected)
    assert flat.energy.item() == pytest.approx(9 * 9 * 3 * ENERGY_FLOOR)


def test_affine_maps_of_the_contents_colours_cost_nothing(content, images, draw):
    known = local_colors(content)
    turned = torch.einsum("dc,bchw->bdhw", draw(3, 3, seed=6).double() / 3.0, content) + 0.2
    noise = photorealism_loss(images.double(), known).min()
    for picture_ in (content, turned, torch.full_like(content, 0.7)):
        assert photorealism_loss(picture_, known) < 1e-5 * noise
    halves = torch.cat([1.0 - content[..., :7], 0.5 * content[..., 7:]], -1)  # two maps cost only where they meet
    product = matting_laplacian(halves, known).abs()
    assert torch.cat([product[..., :5], product[..., 9:]], -1).max() < 1e-4 * product[..., 5:9].max()


def test_it_is_symmetric_and_never_negative(content, images):
    known = local_colors(content)
    one, two = images.double()
    products = matting_laplacian(images.double(), known)
    torch.testing.assert_close((one * products[1]).sum(), (two * products[0]).sum(), rtol=1e-9, atol=0)
    basis = torch.eye(ROWS * COLUMNS, dtype=torch.float64, device=images.device).view(-1, 1, ROWS, COLUMNS)
    matrix = matting_laplacian(basis, known).flatten(1)
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-9)
    assert torch.linalg.eigvalsh(matrix).min() > -1e-9


def test_the_energy_is_the_contrast_within_windows(content):
    by_hand = sum(
        ((window - window.mean((1, 2), keepdim=True)) ** 2).sum()
        for window in (content[0, :, r : r + 3, c : c + 3] for r in range(ROWS - 2) for c in range(COLUMNS - 2))
    )
    torch.testing.assert_close(local_colors(content).energy, by_hand[None])


@pytest.mark.parametrize(("colors", "share"), [(3, 5 / 8), (1, 7 / 8)])
def test_contrast_that_has_nothing_to_do_with_the_content_costs_five_eighths_or_more(colors, share, draw):
    """Three of eight differences in a window are fitted by chance, and one of those of a grey content."""
    content, other = draw(1, colors, 64, 64, seed=8).expand(1, 3, -1, -1), draw(1, 3, 64, 64, seed=9)
    known = local_colors(content)
    of_its_own = photorealism_loss(other, known) * known.energy / local_colors(other).energy
    assert of_its_own.item() == pytest.approx(share, rel=0.03)


def test_gradient_matches_finite_differences(content, images):
    known = local_colors(content[..., :5, :6])
    free = images[..., :5, :6].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: photorealism_loss(x, known), (free,))


def test_float32_is_as_exact_as_its_pictures(content, images):
    known = local_colors(content)
    exact = images.float().double().requires_grad_()
    rounded = images.float().requires_grad_()
    losses = [photorealism_loss(x, known) for x in (exact, rounded)]
    gradients = [torch.autograd.grad(loss.sum(), x)[0] for loss, x in zip(losses, (exact, rounded), strict=True)]
    assert losses[1].dtype == gradients[1].dtype == torch.float32
    torch.testing.assert_close(losses[1].double(), losses[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(gradients[1].double(), gradients[0], rtol=1e-6, atol=1e-9)


def test_a_content_for_each_picture_and_pictures_too_narrow_for_a_window(content, images):
    both = torch.cat([content, content.flip(3)])
    alone = [photorealism_loss(images[n : n + 1].double(), local_colors(both[n : n + 1])) for n in range(2)]
    torch.testing.assert_close(photorealism_loss(images.double(), local_colors(both)), torch.cat(alone))
    assert photorealism_loss(images[..., :2, :], local_colors(content[..., :2, :])).tolist() == [0.0, 0.0]


# ---- in methods ---------------------------------------------------------------------------------------------------
def stylized(*configs):
    return run(*map(request, configs))


def loss_by_hand(image):
    """The loss of a picture that has the content's size, without any code of ours."""
    pixels_3HW, content_3HW = (one.transpose(2, 0, 1) / 255.0 for one in (image, CONTENT.array))
    windows = np.lib.stride_tricks.sliding_window_view(content_3HW, (3, 3), axis=(1, 2))
    return (pixels_3HW * by_regressions(pixels_3HW, content_3HW)).sum() / (9.0 * windows.var((3, 4)).sum())


@pytest.mark.slow
def test_the_method_keeps_to_local_affine_maps_and_says_so():
    plain, kept = stylized(*(settings(photorealism_weight=weight, steps=25) for weight in (0.0, 1000.0)))
    assert "photorealism" not in plain.losses.terms
    measured = kept.losses.terms["photorealism"]
    assert measured.weight_relative == 1000.0
    assert measured.loss < 0.1 * loss_by_hand(plain.image)
    assert measured.loss == pytest.approx(loss_by_hand(kept.image), rel=1e-3)
    assert kept.losses.terms["style"].loss < 0.9 * stylized(settings(style_weight=0.0))[0].losses.terms["style"].loss
    weights = {"content": 1.0, "style": 100.0, "tv": 1.0, "photorealism": 1000.0}
    expected = sum(weight * kept.losses.terms[name].loss for name, weight in weights.items())
    assert kept.losses.loss == pytest.approx(expected, rel=1e-5)


def test_weight_zero_changes_nothing_alone_or_in_a_batch():
    alone = stylized(settings())[0]
    beside = stylized(settings(), settings(photorealism_weight=10.0))[0]
    assert farthest(alone.image, beside.image) <= 1
    assert "photorealism" not in beside.losses.terms


@pytest.mark.parametrize("method", [GatysConfig, MrfConfig])
def test_masks_leave_the_term_as_it_is(method):
    config = small(method, **LAYERS, photorealism_weight=5.0, precision="float64")
    plain = objective_of(request(config))
    masked = objective_of(request(config, picture(0), mask=HALVES, style_masks=[HALVES]))
    image = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    losses = [
        term.weights * term.loss(image)
        for objective in (plain, masked)
        for term in objective.terms
        if term.name == "photorealism"
    ]
    assert losses[0].item() > 0
    assert losses[0].tolist() == losses[1].tolist()


def test_absolute_units_are_those_of_luans_code(content, images):
    """luanfujun/deep-photo-styletransfer applies the matrix to the picture in 0..1 and sums over positions."""
    known = local_colors(content)
    absolute = photorealism_loss(images.double(), known) * photorealism_factor("jcjohnson", known.energy)
    products = matting_laplacian(images.double(), known)
    torch.testing.assert_close(absolute, (images.double() * products).sum((1, 2, 3)))
    assert photorealism_factor("relative", 5.0) == 1.0
