"""How many pairs of a good and an obviously worse picture each score puts in order, and what its column says of that.

Measured by `tests/benchmarks/bench_scores.py`; `docs/scores.md` has the table. Never imports torch.
"""

from __future__ import annotations

from typing import Final

PAIRS: Final = 48
"""Pairs that were judged."""

ENOUGH: Final = 36
"""Pairs that a score must order to rank pictures; with fewer it is descriptive. One that knows nothing orders 24."""

ORDERED: Final[dict[str, int | None]] = {
    "transfer_score": 46,
    "texture_distance_style": 43,
    "gram_distance_style": 43,
    "w2_distance_style": 43,
    "style_gain": 43,
    "e_statistic": 40,
    "palette_distance_style": 38,
    "histogram_distance_style": 36,
    "content_kept": 29,
    "lpips_content": 28,
    "colorfulness": 27,
    "contrast": 25,
    "pixel_noise": 25,
    "palette_distance_content": 23,
    "saturated_share": 22,
    "total_variation": 21,
    "psnr_content": 19,
    "gmsd_content": 19,
    "ssim_content": 17,
    "cfsd_content": None,
}
"""Pairs of which the good picture has the better value; None for a score that was not measured. Scores without a better
direction have the one that orders more pairs."""


def ranks(name: str) -> bool:
    """Return whether a score ranks pictures; otherwise it describes them."""
    return (ORDERED[name] or 0) >= ENOUGH


def noted(name: str, description: str) -> str:
    """Return the description of a score with what it is worth.

    Example:
        >>> noted("ssim_content", "Similarity.")
        'Similarity. Descriptive: it orders 17 of 48 pairs of a good and a bad picture.'
    """
    count = ORDERED[name]
    if count is None:
        return f"{description} Descriptive: whether it ranks pictures was not measured."
    worth = f"rders {count} of {PAIRS} pairs of a good and a bad picture."
    return f"{description} {'O' if ranks(name) else 'Descriptive: it o'}{worth}"
