"""Each term says truly what it needs of a picture to know its gradient at one position: its `Scope`.

What is near a corner and what is far from it, more than twelve positions away, are told apart. Three changes of the far
features, and whether each may move the gradient near the corner, make a signature that no two scopes share:

                other values   same mean and Gram matrix, other values   the same values elsewhere
    positions   no             no                                        no
    statistics  yes            no                                        no
    gather      yes            yes                                       no
"""

from functools import partial

import numpy as np
import pytest
import torch
from cells import LAYERS, RANDOM, blocks, objective_of, picture, request, small, workspace

from nst.config.doodle import DoodleConfig
from nst.config.gatys import GatysConfig
from nst.config.training import DoodleNetTraining, MganTraining
from nst.losses.deviations import DEVIATIONS
from nst.losses.laplacian import laplacian
from nst.losses.matting import local_colors
from nst.losses.reward import activation, class_score, reward_term, squared_distance_to_mean
from nst.losses.style import STYLE_LOSSES, style_target
from nst.losses.terms import content_terms, laplacian_term, patch_terms, photorealism_term, style_terms, tv_term
from nst.losses.tv import TOTAL_VARIATIONS
from nst.pictures.masks import Labels, rgb
from nst.training import Trainer

MOVES = {
    "positions": {"other": False, "rotated": False, "permuted": False},
    "statistics": {"other": True, "rotated": False, "permuted": False},
    "gather": {"other": True, "rotated": True, "permuted": False},
}

ROWS, COLUMNS = 16, 32
NEAR, FAR = (..., slice(0, 8), slice(0, 2)), (..., slice(0, 8), slice(15, None))


def one(like):
    return torch.ones(1, device=like.device, dtype=like.dtype)


def content(draw):
    target = draw(1, 5, ROWS, COLUMNS, seed=1)
    return content_terms({"relu1_1": target}, {"relu1_1": 1.0}, one(target))


def style(loss, draw):
    features = draw(1, 5, 9, 9, seed=1) + 0.5
    target = style_target(loss, [([loss.statistics(features)], [1.0], "targets")])
    return style_terms(loss, {"relu1_1": target}, {"relu1_1": 1.0}, one(features))


def patches(draw):
    maps = draw(1, 5, 9, 9, seed=1)
    return patch_terms({"relu1_1": ((maps,),)}, {"relu1_1": 1.0}, one(maps), size=3, stride=1)


def total_variation(kind, draw):
    return [tv_term(one(draw(1)), kind)]


def edges(draw):
    target = laplacian(draw(1, 5, ROWS, COLUMNS, seed=1), 4)
    return [laplacian_term(target, 4, one(target))]


def affine_maps(draw):
    content = draw(1, 3, ROWS, COLUMNS, seed=1)
    return [photorealism_term(local_colors(content), one(content))]


def reward(of, draw):
    return [reward_term(None, of, one(draw(1)))]


TERMS = {
    "content": content,
    **{name: partial(style, loss) for name, loss in STYLE_LOSSES.items()},
    "deviations": partial(style, DEVIATIONS),
    "patches": patches,
    **{f"tv {kind}": partial(total_variation, kind) for kind in TOTAL_VARIATIONS},
    "laplacian": edges,
    "photorealism": affine_maps,
    "activation": partial(reward, activation),
    "class score": partial(reward, partial(class_score, targets_B=torch.tensor([3]))),
    "distance to mean": partial(reward, partial(squared_distance_to_mean, mean=0.4)),
}


def changed(features, how, draw):
    """Return the features with those far from the corner changed in one way."""
    far = features[FAR].flatten(2)
    count = far.shape[2]
    if how == "other":
        new = draw(1, far.shape[1], count, seed=7)
    elif how == "permuted":
        new = far[:, :, torch.randperm(count, generator=torch.Generator().manual_seed(7))]
    else:  # mirrored at right angles to the vector of ones: sums and sums of products over positions stay
        axis = draw(count, seed=8)
        axis = axis - axis.mean()
        new = far - 2.0 * (far @ axis)[..., None] * axis / axis.square().sum()
    result = features.clone()
    result[FAR] = new.view_as(features[FAR])
    return result


def gradient_near(term, features):
    free = features.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(term.loss(free).sum(), free)
    return gradient[NEAR]


def assert_scope_is_true(term, features, draw, rounding):
    before = gradient_near(term, features)
    assert before.norm() > 0
    for how, moves in MOVES[term.scope].items():
        after = gradient_near(term, changed(features, how, draw))
        difference = ((after - before).norm() / before.norm()).item()
        assert difference > 1e-2 if moves else difference < max(1e-8, 10 * rounding), (term.name, how, difference)


@pytest.mark.parametrize("name", TERMS)
def test_a_term_says_its_scope_truly(name, draw, rounding):
    (term,) = TERMS[name](draw)
    assert_scope_is_true(term, draw(1, 5, ROWS, COLUMNS) + 0.3, draw, rounding)


@pytest.mark.parametrize("scope", MOVES)
def test_no_other_scope_would_be_true(scope, draw, rounding):
    """What this file asserts can fail: of one term of each scope, the two others are found to be false."""
    name = {"positions": "content", "statistics": "gram", "gather": "sliced"}[scope]
    (term,) = TERMS[name](draw)
    for other in MOVES.keys() - {scope}:
        false = type(term)(term.name, term.layer, term.loss, other, term.share, term.weights)
        with pytest.raises(AssertionError):
            assert_scope_is_true(false, draw(1, 5, ROWS, COLUMNS) + 0.3, draw, rounding)


# ---- terms that methods and lessons make themselves ---------------------------------------------------------------
HALVES = Labels("halves", ("#ff0000", "#0000ff"), np.repeat([[0], [1]], 16, 0).repeat(40, 1).astype(np.uint8))
"""Corner and far features lie in one region, the upper one: regions do not feel each other."""


def guided(method, **settings):
    config = small(method, **LAYERS, precision="float64", **settings)
    return objective_of(request(config, picture(0), mask=HALVES, style_masks=[HALVES]), 32, 32).terms


def learned(config, given, masks=()):
    lesson = Trainer(config, [picture(1)], workspace(), blocks(0)[None, :, :32], masks=masks).lesson
    return lesson(lesson.tensor(given[None, :, :32]), [0], [0])[1].terms


LEARNED = {"size": 32, "batch_size": 1, "style_layers": ["relu1_1"], "backbone": RANDOM, "precision": "float64"}
MADE = {
    "regions of gatys": lambda: guided(GatysConfig),
    "regions of doodle": lambda: guided(DoodleConfig),
    "patches of doodle": lambda: guided(DoodleConfig, how="patches"),
    "critic of mgan": lambda: learned(MganTraining(**LEARNED, layer="relu1_1"), blocks(0)),
    "regions of doodle_net": lambda: learned(
        DoodleNetTraining(**LEARNED, scales=2), np.array(rgb(HALVES.colors))[HALVES.index], [HALVES]
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_terms_of_methods_and_lessons_say_their_scope_truly(name):
    (term,) = (term for term in MADE[name]() if (term.name, term.layer) == ("style", "relu1_1"))

    def drawn(*shape, seed=0):
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    assert_scope_is_true(term, drawn(1, 64, 32, 32) + 0.3, drawn, 1e-9)
