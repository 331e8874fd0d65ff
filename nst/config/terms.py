"""The terms of an objective by name, with the columns of the catalog that report each. Never imports torch.

A new term adds its entry to `TERMS`; its columns, its place in the traces and its mention in messages follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class TermColumns:
    """What the catalog reports about one term.

    Attributes:
        loss: Description of the column `<term>_loss`.
        weight: Description of the column `<term>_weight_relative`.
        layer_loss: Description of the columns `<term>_loss_<layer>`, with `{layer}` for the layer's name; "" for a term
            that compares pictures and no features.
        part: The part of the weighted sum that the term belongs to; traces record it as `<part>_loss`.
        only_weighted: Whether the columns are null for a cell that gives the term no weight.
    """

    loss: str
    weight: str
    part: str
    layer_loss: str = ""
    only_weighted: bool = False


TERMS: Final[dict[str, TermColumns]] = {
    "content": TermColumns(
        "Content loss in relative units: the weighted sum over layers, before `content_weight`.",
        "`content_weight` converted into relative units for this cell.",
        "content",
        "Content loss at {layer} in relative units, unweighted.",
    ),
    "style": TermColumns(
        "Style loss in relative units: the weighted sum over layers, before `style_weight`.",
        "`style_weight` converted into relative units for this cell.",
        "style",
        "Style loss at {layer} in relative units, unweighted.",
    ),
    "tv": TermColumns(
        "Total variation in relative units, before `tv_weight`.",
        "`tv_weight` converted into relative units for this cell.",
        "tv",
    ),
    "laplacian": TermColumns(
        "Laplacian loss in relative units, before `laplacian_weight`; null where `laplacian_weight` is 0.",
        "`laplacian_weight` converted into relative units for this cell.",
        "content",
        only_weighted=True,
    ),
    "photorealism": TermColumns(
        "Photorealism loss in relative units, before `photorealism_weight`; null where `photorealism_weight` is 0.",
        "`photorealism_weight` converted into relative units for this cell.",
        "content",
        only_weighted=True,
    ),
    "temporal": TermColumns(
        "Temporal loss in relative units, before `temporal_weight`; null for stills. Of a clip: mean over its frames.",
        "`temporal_weight`, which is in relative units in any case; null for stills.",
        "temporal",
        only_weighted=True,
    ),
}
"""The terms in the order of their columns. A term that is not listed counts in the weighted sum but has no column."""

PARTS: Final = tuple(dict.fromkeys(columns.part for columns in TERMS.values()))
"""The parts of the weighted sum that traces record, each once."""

TRAINED: Final = tuple(part for part in PARTS if part != "temporal")
"""The parts that trainings record: they see no clips."""
