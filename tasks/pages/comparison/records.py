"""What a comparison consists of: plain records for the terminal, for JSON and for the page."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["sweeps", "cells", "models"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting or an input in which the two differ.

    Attributes:
        name: Its column.
        a: Its value in A; of a sweep the values of all cells. None or () if A does not have it.
        b: The same in B.
    """

    name: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that was measured in both.

    Attributes:
        name: Its column.
        a: Its value in A; of sweeps the mean over the pairs that have it on both sides.
        b: The same in B.
        delta: B minus A.
        pairs: Number of pairs that it was measured in.
        higher: Number of these in which it is higher in B.
        lower: Number of these in which it is lower in B.
    """

    name: str
    a: float
    b: float
    delta: float
    pairs: int
    higher: int
    lower: int


@dataclass(frozen=True, slots=True)
class Side:
    """One of two cells or models. `picture` and `thumbnail` are URIs below the root."""

    id: str
    picture: str
    thumbnail: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two cells that belong together, of equal names and settings but for what differs everywhere; or two models."""

    label: str
    a: Side
    b: Side


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two things of one kind.

    Attributes:
        kind: What they are.
        a: What people call the first one.
        b: What people call the second one.
        counts: Of sweeps: how many cells that are made are in both and in one alone, how many pairs of different cells
            there are, and how many cells of a sweep are not made yet, where some are not.
        settings: In what they differ; of a sweep with cells to be made, not in values that these may have.
        metrics: What was measured of both.
        pairs: Their pictures.
        paired_by: Of sweeps: the columns in which the cells of a pair agree.
    """

    kind: Kind
    a: str
    b: str
    counts: dict[str, int]
    settings: tuple[Setting, ...]
    metrics: tuple[Metric, ...]
    pairs: tuple[Pair, ...] = ()
    paired_by: tuple[str, ...] = ()

    @property
    def counted(self) -> str:
        """The counts as people say them, with what no two cells agree in where there are no pairs; "" of no sweeps."""
        text = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        text = re.sub(r"\b1 pairs\b", "1 pair", text)
        if self.kind != "sweeps" or self.pairs or self.counts["in both"]:
            return text
        return f"{text}: no cell of A has the same {', '.join(self.paired_by)} as one of B"

    def to_json(self) -> dict[str, Any]:
        """Return the same as values of JSON."""
        return asdict(self)
