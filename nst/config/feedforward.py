"""Settings of stylization by a trained network, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.fields import Needs, Pixels, Precision, Seed
from nst.config.method import Method
from nst.config.training import TRAINING_CONFIGS, Training

if TYPE_CHECKING:
    Family = str
else:  # the names come from the one table
    Family = Literal[tuple(sorted(TRAINING_CONFIGS))]

LATEST = "latest"
_MANIFESTS = (".yaml", ".yml")


class FeedforwardConfig(Method):
    """One pass of a trained network: of one style, of several, or of any."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"alpha", "color", "seed"})

    NOT_PIXELS: ClassVar[frozenset[str]] = frozenset({"model", "family"})
    """Fields that are no part of a cell's identity: the digest of the network's weights stands for them."""

    RUNS_NETWORK: ClassVar[bool] = True
    SHARES_CONTENT: ClassVar[bool] = False

    name: Literal["feedforward"] = "feedforward"

    family: Family = "johnson"
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
    def network(self) -> type[Training]:
        """What the family answers for itself."""
        return TRAINING_CONFIGS[self.family]

    @property
    def needs(self) -> Needs:
        """The images that a cell is made from.

        The style may serve only to choose the network; the content may be a mask without a picture.
        """
        content: Needs = frozenset(("content",)) if self.mode == "stylize" else frozenset()
        style_is_known = self.network.KNOWS == "one" and not self.by_style
        return content if style_is_known else content | {"style"}

    @property
    def masks(self) -> Literal["none", "allowed", "content"]:
        """Whether masks are looked at: networks that know any style exchange statistics by region, some paint masks."""
        if self.network.PAINTS == "masks":
            return "content"
        return "allowed" if self.network.KNOWS == "any" else "none"

    @property
    def canvas(self) -> tuple[int, int] | None:
        """A square where a texture is made from noise alone."""
        return (self.size, self.size) if self.mode == "texture" else None

    @property
    def cost(self) -> float:
        """Pixels of the picture: one pass is one step."""
        return self.pixels

    @property
    def weights_as_written(self) -> list[str]:
        """Which network the manifest asks for, as written."""
        return [self.family, self.model]
