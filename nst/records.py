"""The small frozen records that cross rooms and processes: no tensors, no open files, no behaviour.

Images travel as URIs with digests; pixels are read where they are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nst.config.fields import Mix
    from nst.config.method import Method


@dataclass(frozen=True, slots=True)
class MaskRef:
    """The mask of an image: a label image, or one colour `#rrggbb` for the whole image."""

    uri: str
    digest: str
    """SHA-256 of the bytes, hex; of a colour, the colour itself."""

    @property
    def is_color(self) -> bool:
        """Whether the whole image is one region."""
        return self.uri == self.digest


@dataclass(frozen=True, slots=True)
class ImageRef:
    """One input image: where it lies and what its bytes are."""

    name: str
    """Unique readable name within the sweep, from the manifest or the file's stem."""
    uri: str
    """Empty for a content that is a mask alone."""
    digest: str
    """SHA-256 of the bytes, hex; empty for a mask alone."""
    mask: MaskRef | None = None


@dataclass(frozen=True, slots=True)
class StyleRef:
    """One style: one image or a weighted mix of several. Weights are normalised to add up to one."""

    name: str
    images: tuple[ImageRef, ...]
    weights: tuple[float, ...]
    mix: Mix = "targets"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One trained network: what it is and where its weights lie."""

    identity: str
    """Id in the catalog of models, or `sha256-` and the digest of a file that is not from there."""
    uri: str = ""
    """Of its safetensors file; "" while it is not trained."""
    digest: str = ""
    """SHA-256 of that file."""

    @property
    def model_id(self) -> str | None:
        """Its id in the catalog, None for other files."""
        return None if self.identity.startswith("sha256-") else self.identity


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """How pictures are encoded. `quality` is ignored by PNG."""

    format: Literal["png", "jpeg", "webp"] = "png"
    quality: int = 95


@dataclass(frozen=True, slots=True)
class Cell:
    """One content x style x parameter point: one picture, one row."""

    cell_id: str
    content: ImageRef | None
    style: StyleRef | None
    config: Method
    output: OutputFormat = OutputFormat()
    attempt: int = 1
    """1 + the number of failed attempts on record when it was planned."""
    model: ModelRef | None = None
    """The trained network, None for methods without."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Cells that share content, size, backbone and structure, optimised together; committed whole."""

    batch_id: str
    cells: tuple[Cell, ...]
    weights_digest: str
    """Identity of the backbone's weights, part of every cell_id."""
    cost: float
    """Relative cost: pixels x steps x cells (pyramid included); seconds = cost x the device's seconds per unit."""


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """Losses of one cell at one step, in the cell's own units (`units`), after weighting."""

    step: int
    level: int
    loss: float
    """The weighted sum."""
    parts: dict[str, float]
    """The same by part (`nst.config.terms.PARTS`)."""


@dataclass(frozen=True, slots=True)
class TermLoss:
    """One term of the finished picture's losses, in relative units."""

    loss: float
    """Layers weighted as configured, before the term's own weight."""
    weight_relative: float
    """The configured weight converted into relative units for this cell's targets."""
    layers: dict[str, float]
    """Per layer, unweighted; empty for a term of the picture itself."""


@dataclass(frozen=True, slots=True)
class CellLosses:
    """The losses of the finished picture, measured on the picture as saved (clamped to [0, 1])."""

    loss: float
    """What was minimised: the weighted sum in the settings' own units."""
    terms: dict[str, TermLoss]
    """By the names of `nst.config.terms.TERMS`; without the terms that the cell does not have."""


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """Losses of one training step, after weighting, means over its pictures; `loss` is their sum."""

    step: int
    """Steps done with this one."""
    loss: float
    content_loss: float
    style_loss: float
    tv_loss: float
    diversity_loss: float
    """Minus the mean log distance to the nearest other picture of the batch: may be negative."""
    learning_rate: float
