"""Neural patches: the matches are those of brute force, a planted patch is found, the loss has its closed form.

Matches are maxima of matrix products: TF32, which the `device` fixture forbids, would swap near ones.
"""

import numpy as np
import pytest
import torch

from nst.losses.patches import PatchTarget, cut_patches, nearest_patches, patch_energy


@pytest.fixture
def features(draw):
    """A function of a seed, a height and a width."""
    return lambda seed, height, width, channels=5: draw(1, channels, height, width, seed=seed).sigmoid()


def array(tensor):
    return tensor.double().cpu().numpy()


def starts(side, size, stride):
    """CNNMRF's grid, counted from 0: a tail is added where the last block does not reach the end."""
    grid = list(range(0, side - size + 1, stride))
    return grid if grid[-1] == side - size else [*grid, side - size]


def brute_force(patches_DN, maps, size, stride):
    """Every score, one by one, with numpy's own arithmetic."""
    style = [
        array(m)[0, :, top : top + size, left : left + size].ravel()
        for m in maps
        for top in starts(m.shape[2], size, stride)
        for left in starts(m.shape[3], size, stride)
    ]
    ours = array(patches_DN.T)
    return np.array([[p @ s / (np.linalg.norm(p) * np.linalg.norm(s)) for s in style] for p in ours]), np.array(style)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (2, 3), (1, 1)])
@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_matches_are_those_of_brute_force(size, stride, chunk, features, dtype):
    maps = [features(1, 9, 7), features(2, 6, 11), features(3, 8, 8)]
    patches_DN = cut_patches(features(4, 10, 12), size, stride)[0]
    scores, style = brute_force(patches_DN, maps, size, stride)
    best = np.sort(scores, axis=1)
    tied = 10 * torch.finfo(dtype).eps
    clear = best[:, -1] - best[:, -2] > tied  # a score beside the best one may be called the best
    assert clear.all() if dtype == torch.float64 else clear.mean() > 0.95
    matches_DN, index_N = nearest_patches(patches_DN, maps, size, stride, chunk=chunk)
    assert np.array_equal(index_N.cpu().numpy()[clear], scores.argmax(1)[clear])
    assert np.array_equal(array(matches_DN.T)[clear], style[scores.argmax(1)][clear])


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (3, 3), (4, 3), (1, 1), (2, 2)])
@pytest.mark.parametrize(("height", "width"), [(8, 9), (9, 8), (8, 8), (11, 13), (4, 10), (10, 4)])
def test_every_position_lies_in_a_patch_and_moves_the_loss(size, stride, height, width, features):
    """With a stride of 2 on even sides, a grid without a tail leaves the last row and column out."""
    style, picture = features(15, 9, 9, 2), features(16, height, width, 2).requires_grad_()
    patches_DN = cut_patches(picture.detach(), size, stride)[0]
    assert np.array_equal(array(patches_DN.T), brute_force(patches_DN, [picture.detach()], size, stride)[1])
    target = PatchTarget(((style,),), patch_energy([style], size, stride)[None], size, stride)
    (gradient,) = torch.autograd.grad(target(picture).sum(), picture)
    assert (gradient != 0).all()


def test_a_planted_patch_is_found_whatever_its_length(features):
    picture, style = features(5, 9, 9), features(6, 20, 20)
    style[:, :, 11:14, 4:7] = 0.01 * picture[:, :, 3:6, 6:9]
    _, index_N = nearest_patches(cut_patches(picture, 3, 1)[0], [style], 3, 1)
    assert index_N.view(7, 7)[3, 6] == 11 * 18 + 4


def test_a_style_matched_with_itself_costs_nothing_and_zeros_cost_about_one(features):
    style = features(7, 8, 9)
    target = PatchTarget(((style,),), patch_energy([style], 3, 1)[None], 3, 1)
    assert target(style).item() == 0.0
    # Zero patches correlate with nothing: each takes the first patch, whose length is about the mean one.
    assert target(torch.zeros_like(style)).item() == pytest.approx(1.0, abs=0.3)


def test_the_loss_is_the_mean_over_patches_and_each_image_has_its_own_style(features, rounding):
    styles = [(features(8, 7, 7),), (features(9, 6, 8), features(10, 7, 7))]
    energies = torch.stack([patch_energy(maps, 3, 2) for maps in styles])
    pictures = torch.cat([features(11, 9, 9), features(12, 9, 9)])
    together = PatchTarget(tuple(styles), energies, 3, 2)(pictures)
    for maps, picture, energy, ours in zip(styles, pictures, energies, together, strict=True):
        patches_DN = cut_patches(picture[None], 3, 2)[0]
        scores, style = brute_force(patches_DN, maps, 3, 2)
        distances = ((array(patches_DN.T) - style[scores.argmax(1)]) ** 2).sum(1)
        assert ours.item() == pytest.approx(distances.mean() / energy.item(), rel=rounding)
        assert energy.item() == pytest.approx((style**2).sum(1).mean(), rel=rounding)


def test_the_gradient_is_that_of_the_loss(features):
    style, picture = features(13, 8, 8, 2).double(), features(14, 6, 6, 2).double().requires_grad_()
    target = PatchTarget(((style,),), patch_energy([style], 3, 2)[None], 3, 2)
    assert torch.autograd.gradcheck(target, (picture,))
