"""The small frozen records that pass between modules and processes: no tensors, no open files, no behaviour.

Images are passed as URIs with digests; pixels are read where they are used. A `uri` is stored and shown, and has no
credentials; a signed link is in `link` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from nst.config.fields import ClipFormat, Mix  # noqa: TC001  plans are read with them (`tasks.planning.stored`)

if TYPE_CHECKING:
    from nst.config.method import Method


@dataclass(frozen=True, slots=True)
class MaskRef:
    """The mask of an image: a label image, or one colour `#rrggbb` for the whole image."""

    uri: str
    digest: str
    """SHA-256 of the bytes in hexadecimal digits; of a colour, the colour itself."""
    link: str = field(default="", repr=False)
    """Where the bytes are read if that is not `uri`: a link with its query, which is neither stored nor shown."""
    fault: str = ""
    """Why the mask cannot be used, where this was found when the run was planned."""
    size: tuple[int, int] | None = None
    """Width and height in pixels; None of a colour, and where planning did not look."""
    colors: tuple[str, ...] = ()
    """The colour of every region as `nst.pictures.masks.Labels` has them; empty where planning did not look."""

    @property
    def is_color(self) -> bool:
        """Whether the whole image is one region."""
        return self.uri == self.digest


@dataclass(frozen=True, slots=True)
class FrameRef:
    """One still of a clip that is a sequence of images."""

    uri: str
    digest: str
    """SHA-256 of the bytes in hexadecimal digits."""
    link: str = field(default="", repr=False)
    """As `MaskRef.link`."""


@dataclass(frozen=True, slots=True)
class ClipRef:
    """Which frames of a clip are to be stylized."""

    first: int
    """The first frame, counted from zero."""
    last: int
    """The last frame, which is one of those that `every` reaches from the first."""
    every: int = 1
    rate: float = 0.0
    """Frames per second of a sequence of images; 0 for a file, which knows its times."""
    stills: tuple[FrameRef, ...] = ()
    """The images of a sequence, in order; empty for a file."""
    form: ClipFormat = "h264"
    """How the stylized clip is encoded; its frames are kept as PNG in any case."""

    @property
    def frames(self) -> range:
        """The numbers of the frames."""
        return range(self.first, self.last + 1, self.every)


@dataclass(frozen=True, slots=True)
class ImageRef:
    """One input image: where it lies, and the digest of its bytes."""

    name: str
    """Readable name, unique within the sweep: from the manifest, or the stem of the file's name."""
    uri: str
    """"" for a content that is a mask alone."""
    digest: str
    """SHA-256 of the bytes in hexadecimal digits; "" for a mask alone. Of an image with a `fault`, of its location."""
    mask: MaskRef | None = None
    link: str = field(default="", repr=False)
    """As `MaskRef.link`."""
    fault: str = ""
    """Why the image cannot be used, where this was found when the run was planned: there are too many bytes, they come
    too slowly, or their beginning is that of no picture."""
    size: tuple[int, int] | None = None
    """Width and height in pixels, upright; None where planning did not look."""
    clip: ClipRef | None = None
    """The frames, if it is a clip and no still."""


@dataclass(frozen=True, slots=True)
class StyleRef:
    """One style: one image or a weighted mix of several.

    The weights are shares that add up to one; of a sum (`mix`) they are what multiplies each image's Gram matrices.
    """

    name: str
    images: tuple[ImageRef, ...]
    weights: tuple[float, ...]
    mix: Mix = "targets"
    scales: tuple[float, ...] = ()
    """Size of each image, divided by the size that the method gives to style images; empty where all are 1."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One trained network: its identity, and where its weights lie."""

    identity: str
    """Id in the catalog of models; for a file that is not in the catalog, `sha256-` and the digest of the file."""
    uri: str = ""
    """URI of its safetensors file; "" while it is not trained."""
    digest: str = ""
    """SHA-256 of that file."""
    style: StyleRef | None = None
    """The style that a network of one style was trained for, where it is on record. It is no part of any identity: the
    network stands for it."""

    @property
    def model_id(self) -> str | None:
        """Its id in the catalog; None for a file that is not in the catalog."""
        return None if self.identity.startswith("sha256-") else self.identity


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """How pictures are encoded; `quality` has no effect on PNG."""

    format: Literal["png", "jpeg", "webp"] = "png"
    quality: int = 95
    alpha: bool = False
    """Whether the transparency of the content image is kept; not for JPEG."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One content with one style at one point of the axes: one picture, one row of `results`."""

    cell_id: str
    content: ImageRef | None
    style: StyleRef | None
    config: Method
    output: OutputFormat = OutputFormat()
    attempt: int = 1
    """1 + the number of failed attempts in the catalog when the cell was planned."""
    model: ModelRef | None = None
    """The trained network, None for methods without."""
    start: ImageRef | None = None
    """The picture that the optimisation starts from where the settings name one (`Method.start_picture`)."""
    finish: ModelRef | None = None
    """The trained network that the picture passes through at the end (`Method.finish`)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Cells of one structure that are optimised together and committed together; mostly of one content."""

    batch_id: str
    cells: tuple[Cell, ...]
    weights_digest: str
    """Digest of the backbone's weights, part of every cell's id; "" without a backbone."""
    cost: float
    """Pixels x steps, summed over the cells and the levels of the pyramid; a duration is this times a device's rate."""


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """Losses of one cell at one step, weighted, in the units that the cell's settings ask for (`units`)."""

    step: int
    level: int
    loss: float
    """The weighted sum of all terms."""
    parts: dict[str, float]
    """The weighted loss of each part (`nst.config.terms.PARTS`)."""


@dataclass(frozen=True, slots=True)
class TermLoss:
    """One term of the finished picture's losses, in relative units."""

    loss: float
    """Sum over the layers with their weights, before the weight of the term."""
    weight_relative: float
    """The weight of the term, converted into relative units for this cell's targets."""
    layers: dict[str, float]
    """The loss of each layer, not weighted; empty for a term of the picture itself."""


@dataclass(frozen=True, slots=True)
class CellLosses:
    """The losses of the finished picture, measured on the picture as saved (clamped to [0, 1])."""

    loss: float
    """What was minimised: the weighted sum, in the units that the settings ask for."""
    terms: dict[str, TermLoss]
    """The terms that the cell has, by their names in `nst.config.terms.TERMS`."""


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """Weighted losses of one training step, each a mean over its pictures; `loss` is their sum."""

    step: int
    """Number of steps done, including this one."""
    loss: float
    content_loss: float
    style_loss: float
    tv_loss: float
    diversity_loss: float
    """Minus the mean log distance to the nearest other picture of the batch; may be negative."""
    learning_rate: float
    temporal_loss: float = 0.0
    """Of the training with fake motion (`nst.training.fake_motion`); 0 without."""
