"""When an optimisation shows previews: small pictures of what it has come to, which are no part of its result."""

from __future__ import annotations

from typing import Final

MOST_BY_THEMSELVES: Final = 10
"""About how many previews a cell has where its manifest does not say."""

LEAST_STEPS: Final = 25
"""The least steps between two of these. A preview takes about a tenth of a step of a small picture's time."""


def preview_interval(every: int | None, steps: int) -> int:
    """Return the number of steps between two previews of a cell; 0 for none.

    Args:
        every: What the manifest says (`preview_every`); None for an interval that follows from the number of steps.
        steps: All steps of the cell.

    Example:
        >>> [preview_interval(None, steps) for steps in (20, 100, 600)]
        [0, 25, 60]
    """
    interval = max(LEAST_STEPS, round(steps / MOST_BY_THEMSELVES)) if every is None else every
    return interval if interval < steps else 0


def preview_count(every: int | None, steps: int) -> int:
    """Return how many previews a cell has; arguments as `preview_interval`. At the last step there is the picture.

    Example:
        >>> [preview_count(None, steps) for steps in (20, 100, 600)]
        [0, 3, 9]
    """
    interval = preview_interval(every, steps)
    return (steps - 1) // interval if interval else 0
