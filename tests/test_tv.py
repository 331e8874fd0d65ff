import pytest
import torch

from nst.losses.tv import TOTAL_VARIATIONS, tv_absolute, tv_euclidean, tv_nine_point, tv_squared

CHECKERBOARD = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * torch.ones(1, 3, 1, 1, dtype=torch.float64)
NOISE = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def test_checkerboard_varies_by_one_at_each_of_its_112_neighbours():
    neighbours = 2 * 8 * 7 / 64
    assert tv_squared(CHECKERBOARD).item() == pytest.approx(neighbours)
    assert tv_absolute(CHECKERBOARD).item() == pytest.approx(neighbours)


def test_checkerboard_has_gradients_of_length_root_two_inside():
    expected = (49 * 2**0.5 + 14) / 64
    assert tv_euclidean(CHECKERBOARD).item() == pytest.approx(expected, abs=2e-4)


def test_diagonals_of_a_checkerboard_vary_only_over_its_continued_border():
    # 4 borders of 7 steps each, in both diagonal directions, among 9 x 9 diagonal neighbours.
    expected = 2 / 3 * 112 / 64 + 1 / 6 * (2 * 4 * 7) / 81
    assert tv_nine_point(CHECKERBOARD).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", TOTAL_VARIATIONS)
def test_constant_pictures_do_not_vary(name):
    assert TOTAL_VARIATIONS[name](torch.full((1, 3, 4, 4), 0.3)).item() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", TOTAL_VARIATIONS)
def test_each_image_is_measured_by_itself(name):
    together = TOTAL_VARIATIONS[name](NOISE)
    alone = torch.cat([TOTAL_VARIATIONS[name](NOISE[:1]), TOTAL_VARIATIONS[name](NOISE[1:])])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", ["squared", "nine_point"])
def test_a_ramp_has_its_squared_slope(name):
    ramp = (torch.arange(200.0)[:, None] * 0.01 + torch.arange(200.0) * 0.02).double().expand(1, 3, 200, 200)
    assert TOTAL_VARIATIONS[name](ramp).item() == pytest.approx(0.01**2 + 0.02**2, rel=0.02)


@pytest.mark.parametrize("name", TOTAL_VARIATIONS)
def test_gradients_match_finite_differences(name):
    assert torch.autograd.gradcheck(TOTAL_VARIATIONS[name], (NOISE.clone().requires_grad_(),))
