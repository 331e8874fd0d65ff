"""A ranking from comparisons of two at a time: the model of Bradley and Terry, fitted by Newton's method.

Of items i and j, i is preferred with the probability s(b_i - b_j), where s(x) = 1 / (1 + exp(-x)) and b are the
strengths. They maximise the logarithm of the likelihood of all comparisons,

    sum over i, j of  w_ij log s(b_i - b_j)  +  sum over i of  prior / 2 (log s(b_i) + log s(-b_i)),

where w_ij is how often i was preferred to j; a tie counts half for both. The second sum is as if each item had also won
and lost `prior` / 2 comparisons with an average one. It keeps the strength of an item finite that always wins, and
joins items that were never compared, not even through others.

Source: Bradley & Terry 1952, "Rank analysis of incomplete block designs: I. The method of paired comparisons", for the
model; Hunter 2004, "MM algorithms for generalized Bradley-Terry models", Annals of Statistics 32, for its likelihood
(section 2). Differs: Newton's method in place of Hunter's iteration, which the page uses and which comes to the same
strengths (`tasks/pages/gallery/ranking.js`); the invented opponent, which makes the maximum unique; and ties as half a
win, where Rao & Kupper 1967 and Davidson 1970 give ties a parameter of their own.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

_STEPS: Final = 100
_EXACT: Final = 1e-10
"""Change of strengths at which they are taken to be found."""


class Strengths(NamedTuple):
    """What a fit says of items, each of shape (N,)."""

    values: np.ndarray
    """Strengths: their mean is 0. Of two items, s(difference) is the probability that the first is preferred."""
    errors: np.ndarray
    """Standard errors of these numbers, from the curvature of the logarithm that is maximised."""


def fit(wins: np.ndarray, prior: float = 1.0) -> Strengths:
    """Return the strengths of items.

    Args:
        wins: How often the item of the row was preferred to that of the column, shape (N, N), each at least 0.
        prior: How many comparisons with an average item each item is taken to have won and lost in equal parts, above
            0; a small one hardly matters where all items are compared often.

    Raises:
        ValueError: The shape is another, a number is negative or not finite, or the prior is not above 0.
    """
    wins = np.asarray(wins, dtype=np.float64)
    if wins.ndim != 2 or wins.shape[0] != wins.shape[1]:
        raise ValueError(f"wins have the shape {wins.shape}, expected (N, N)")
    if not np.isfinite(wins).all() or (wins < 0).any() or not prior > 0:
        raise ValueError("wins must be finite and at least 0, and the prior above 0")
    wins = wins * (1 - np.eye(len(wins)))
    found = np.zeros(len(wins))
    value = _value(wins, prior, found)
    for _ in range(_STEPS):
        gradient, curvature = _slopes(wins, prior, found)
        step = np.linalg.solve(curvature, gradient)
        while (new := _value(wins, prior, found + step)) < value - 1e-9 * abs(value):
            step = step / 2  # rarely, far from the maximum
        found, value = found + step, new
        if np.abs(step).max(initial=0.0) < _EXACT:
            break
    _, curvature = _slopes(wins, prior, found)
    centring = np.eye(len(wins)) - 1 / max(1, len(wins))
    spread = centring @ np.linalg.inv(curvature) @ centring
    return Strengths(centring @ found, np.sqrt(np.maximum(0, np.diag(spread))))


def _value(wins: np.ndarray, prior: float, strengths: np.ndarray) -> float:
    """Return the logarithm that is maximised."""
    differences = strengths[:, None] - strengths[None, :]
    average = np.logaddexp(0, strengths) + np.logaddexp(0, -strengths)
    return float(-(wins * np.logaddexp(0, -differences)).sum() - prior / 2 * average.sum())


def _slopes(wins: np.ndarray, prior: float, strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return its gradient, shape (N,), and its curvature with the sign changed, shape (N, N), positive definite."""
    chance, alone = _logistic(strengths[:, None] - strengths[None, :]), _logistic(strengths)
    both = wins + wins.T
    gradient = (wins - both * chance).sum(1) + prior * (0.5 - alone)
    weights = both * chance * (1 - chance)
    return gradient, np.diag(weights.sum(1) + prior * alone * (1 - alone)) - weights


def _logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-np.logaddexp(0, -x)))
