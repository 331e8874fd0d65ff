"""The ranking by comparisons of two: closed forms, published strengths, and strengths that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from nst.bradley_terry import fit

HARDLY = 1e-7

# Games of seven teams in the eastern division of the American League, 1987: how often the team of the row beat that of
# the column, all 13 games of each pair. Agresti, Categorical Data Analysis (1990), section 10.6.
TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
GAMES = np.array([
    [0, 7, 9, 7, 7, 9, 11], [6, 0, 7, 5, 11, 9, 9], [4, 6, 0, 7, 7, 8, 12], [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12], [4, 4, 5, 6, 6, 0, 6], [2, 4, 1, 3, 1, 7, 0],
])  # fmt: skip
PUBLISHED = (1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0.0)
"""Their log strengths with Baltimore's as 0, as R's package BradleyTerry2 prints them for these data."""


def test_two_items_have_a_closed_form():
    for won, lost in ((3, 1), (10, 7), (5, 5)):
        (first, second), errors = fit(np.array([[0, won], [lost, 0]]), HARDLY)
        assert first - second == pytest.approx(np.log(won / lost), abs=1e-5)
        assert first + second == pytest.approx(0, abs=1e-12)
        games, share = won + lost, won / (won + lost)
        # the variance of a logit is 1 / (n p (1 - p)); each strength is half the difference
        assert errors == pytest.approx(np.full(2, np.sqrt(1 / (games * share * (1 - share))) / 2), rel=1e-5)


def test_the_strengths_of_baseball_teams_are_the_published_ones():
    assert np.array_equal(GAMES + GAMES.T, 13 * (1 - np.eye(7)))
    strengths, _ = fit(GAMES, HARDLY)
    assert strengths - strengths[-1] == pytest.approx(np.array(PUBLISHED), abs=1e-4)


def test_standard_errors_are_those_of_a_curvature_by_finite_differences():
    """Of differences from the mean; the published errors are those of differences from Baltimore."""
    strengths, errors = fit(GAMES, HARDLY)

    def value(free):
        b = np.append(free, -free.sum())
        return -(GAMES * np.log1p(np.exp(-(b[:, None] - b[None, :])))).sum()

    step, count = 1e-4, 6
    curvature = np.empty((count, count))
    at, along = strengths[:-1], step * np.eye(count)
    for i in range(count):
        for k in range(count):
            more, less = along[i] + along[k], along[i] - along[k]
            change = value(at + more) - value(at + less) - value(at - less) + value(at - more)
            curvature[i, k] = change / 4 / step**2
    spread = np.linalg.inv(-curvature)
    assert errors[:-1] == pytest.approx(np.sqrt(np.diag(spread)), rel=1e-4)
    assert errors[-1] == pytest.approx(np.sqrt(spread.sum()), rel=1e-4)


@pytest.mark.parametrize("prior", [0.5, 1.0, 4.0])
def test_with_a_prior_it_is_the_maximum_that_another_optimiser_finds(prior):
    wins = np.array([[0, 4, 0.5], [0, 0, 2], [1.5, 0, 0]])

    def loss(b):
        pairs = wins * np.log1p(np.exp(-(b[:, None] - b[None, :])))
        return pairs.sum() + prior / 2 * (np.log1p(np.exp(b)) + np.log1p(np.exp(-b))).sum()

    found = minimize(
        loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 9999}
    ).x
    assert fit(wins, prior).values == pytest.approx(found - found.mean(), abs=1e-6)


def test_known_strengths_are_found_again():
    rng = np.random.default_rng(0)
    true = np.array([-1.5, -0.5, 0.0, 0.7, 1.3])
    wins = np.zeros((5, 5))
    for i in range(5):
        for k in range(i):
            wins[i, k] = rng.binomial(4000, 1 / (1 + np.exp(true[k] - true[i])))
            wins[k, i] = 4000 - wins[i, k]
    strengths, errors = fit(wins)
    assert (np.abs(strengths - true) < 4 * errors).all()
    assert (errors < 0.03).all()


def test_what_always_wins_stays_finite_and_what_was_never_compared_is_average():
    strengths, errors = fit(np.array([[0, 9, 0], [0, 0, 0], [0, 0, 0]]))
    assert np.isfinite(strengths).all()
    assert np.isfinite(errors).all()
    assert strengths[0] > strengths[2] > strengths[1]
    assert strengths[2] == pytest.approx(0, abs=1e-9)
    assert errors[2] > errors[0]


def test_nothing_and_one_item():
    assert fit(np.zeros((0, 0))).values.shape == (0,)
    assert fit(np.zeros((1, 1))).values.tolist() == [0.0]


@pytest.mark.parametrize(
    ("wins", "prior"), [(np.zeros((2, 3)), 1), (np.full((2, 2), -1.0), 1), (np.full((2, 2), np.nan), 1), (np.eye(2), 0)]
)
def test_what_is_no_table_of_wins_is_refused(wins, prior):
    with pytest.raises(ValueError, match="wins"):
        fit(wins, prior)
