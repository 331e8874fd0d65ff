"""Numbers with their nouns, for people."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which is singular after one alone: `1 cell`, `1,234 cells`, `0 copies`.

    Args:
        number: How many there are.
        noun: What is counted, in the plural; what follows the noun may be part of it (`cells of clips`).
    """
    first, space, rest = noun.partition(" ")
    if number == 1:
        first = first.removesuffix("ies") + "y" if first.endswith("ies") else first.removesuffix("s")
    return f"{number:,} {first}{space}{rest}"
