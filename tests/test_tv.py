"""Total variations of checkerboards and ramps in closed form; each image by itself."""

import pytest
import torch

from nst.losses.tv import TOTAL_VARIATIONS, tv_absolute, tv_euclidean, tv_nine_point, tv_squared


@pytest.fixture
def checkerboard(device, dtype):
    squares = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    return squares.to(device, dtype).expand(1, 3, 8, 8)


@pytest.fixture
def noise(draw):
    return draw(2, 3, 5, 6, seed=5).sigmoid()


def test_checkerboard_varies_by_one_at_each_of_its_112_neighbours(checkerboard):
    neighbours = 2 * 8 * 7 / 64
    assert tv_squared(checkerboard).item() == pytest.approx(neighbours)
    assert tv_absolute(checkerboard).item() == pytest.approx(neighbours)


def test_checkerboard_has_gradients_of_length_root_two_inside(checkerboard):
    expected = (49 * 2**0.5 + 14) / 64
    assert tv_euclidean(checkerboard).item() == pytest.approx(expected, abs=2e-4)


def test_diagonals_of_a_checkerboard_vary_only_over_its_continued_border(checkerboard):
    # 4 borders of 7 steps each, in both diagonal directions, among 9 x 9 diagonal neighbours.
    expected = 2 / 3 * 112 / 64 + 1 / 6 * (2 * 4 * 7) / 81
    assert tv_nine_point(checkerboard).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", TOTAL_VARIATIONS)
def test_constant_pictures_do_not_vary(name, device, dtype, rounding):
    flat = torch.full((1, 3, 4, 4), 0.3, device=device, dtype=dtype)
    assert TOTAL_VARIATIONS[name](flat).item() == pytest.approx(0.0, abs=max(1e-9, rounding))


@pytest.mark.parametrize("name", TOTAL_VARIATIONS)
def test_each_image_is_measured_by_itself(name, noise):
    together = TOTAL_VARIATIONS[name](noise)
    alone = torch.cat([TOTAL_VARIATIONS[name](noise[:1]), TOTAL_VARIATIONS[name](noise[1:])])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", ["squared", "nine_point"])
def test_a_ramp_has_its_squared_slope(name, device, dtype):
    ramp = (torch.arange(200.0)[:, None] * 0.01 + torch.arange(200.0) * 0.02).to(device, dtype).expand(1, 3, 200, 200)
    assert TOTAL_VARIATIONS[name](ramp).item() == pytest.approx(0.01**2 + 0.02**2, rel=0.02)


@pytest.mark.parametrize("name", TOTAL_VARIATIONS)
def test_gradients_match_finite_differences(name, noise):
    assert torch.autograd.gradcheck(TOTAL_VARIATIONS[name], (noise.double().requires_grad_(),))
