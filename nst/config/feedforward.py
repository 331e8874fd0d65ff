"""Settings of stylization by a trained network, in one pass."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.block import NamedBlock
from nst.config.fields import Needs, Pixels, Precision, Seed, pixels_of

LATEST = "latest"
_MANIFESTS = (".yaml", ".yml")


class FeedforwardConfig(NamedBlock):
    """One pass of a trained network: of one style, of several, or of any."""

    VERSION: ClassVar[int] = 1
    """Declared version of the method: raised when its pixels change, so that old cells are computed anew."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"alpha", "color", "seed"})
    """Fields that may differ between the cells of one batch; all others are the batch's structure."""

    NOT_PIXELS: ClassVar[frozenset[str]] = frozenset({"model", "family"})
    """Fields that are no part of a cell's identity: the digest of the network's weights stands for them."""

    name: Literal["feedforward"] = "feedforward"

    family: Literal["adain", "conditional", "doodle_net", "johnson", "mgan", "texture_net"] = "johnson"
    """Kind of network: `johnson`, `mgan` and `texture_net` know one style, `conditional` several, `adain` takes any.
    `doodle_net` paints the content's mask, whose colours are those of the mask it was trained with; a picture beside
    the mask gives no more than the proportions."""

    model: Annotated[str, Field(min_length=1)] = LATEST
    """Which network: its id in the catalog of models or the beginning of it, the URI of a .safetensors file, `latest`
    (the last one of this family that was trained for the cell's style; of `adain`, for any), or the URI of a training
    manifest (.yaml), whose models are trained first where they are missing."""

    mode: Literal["stylize", "texture"] = "stylize"
    """`texture`: a new picture from noise alone, by a `texture_net` that was trained with this mode."""

    size: Pixels = 512
    """Pixels of the side that `resize` names; of both sides with `mode: texture`."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image becomes `size`."""

    alpha: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Strength of the style. `adain`: blend of content and style features (Huang & Belongie 2017, eq. 14). The others:
    blend of the content image and the result. Without effect on `mode: texture` and `doodle_net`."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Size of the style images over that of the content image, for `adain`; the others learned theirs."""

    color: Literal["style", "luminance"] = "style"
    """Colours of the result: the style's, or the content's by taking over only luminance (Gatys et al. 2016b); not of
    `doodle_net`."""

    seed: Seed = 0
    """Seed of the noise of a `texture_net` or `doodle_net`; the other families have none."""

    tile: Pixels = 2048
    """A picture of more than `tile` x `tile` pixels passes in overlapping squares of this side, to bound memory."""

    tile_statistics: Literal["exact", "scaled"] = "exact"
    """Where tiles take the statistics of their norms from. `exact`: from the whole picture, one pass over the tiles per
    norm, equal to no tiles at all. `scaled`: from the picture shrunk to one tile, in one pass; colours may differ a
    little."""

    precision: Precision = "float32"

    @property
    def by_style(self) -> bool:
        """Whether the cell's style chooses the network."""
        return self.model == LATEST or self.from_manifest

    @property
    def from_manifest(self) -> bool:
        """Whether the network is one of a training manifest."""
        return self.model.endswith(_MANIFESTS)

    @property
    def needs(self) -> Needs:
        """The images that a cell is made from: a style may be what names the network, a content be a mask alone."""
        content: Needs = frozenset(("content",)) if self.mode == "stylize" else frozenset()
        named = not self.by_style and self.family in {"doodle_net", "johnson", "mgan", "texture_net"}
        return content if named else content | {"style"}

    @property
    def masks(self) -> Literal["none", "allowed", "content"]:
        """Whether it looks at masks: statistics alone can be exchanged by region, and doodles are masks."""
        if self.family == "doodle_net":
            return "content"
        return "allowed" if self.family == "adain" else "none"

    @property
    def side(self) -> int:
        """Pixels of the square that batches reckon with."""
        return self.size

    @property
    def pixels(self) -> float:
        """About how many pixels a picture has, its content being 4:3."""
        if self.mode == "texture":
            return float(self.size**2)
        return pixels_of(self.size, self.resize)
