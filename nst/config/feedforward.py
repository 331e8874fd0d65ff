"""Settings of stylization by one pass of a trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from nst.config.effects import NoEffect
from nst.config.fields import Color, Needs, Pixels, Precision, Seed
from nst.config.finish import LATEST, MANIFESTS
from nst.config.method import Method
from nst.config.start import Size
from nst.config.training import TRAINING_CONFIGS, Training, refuse_to_paint
from nst.config.video import NetworkVideoConfig
from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    Family = str
else:  # the names come from the one table
    Family = Literal[tuple(sorted(TRAINING_CONFIGS))]


class FeedforwardConfig(Method):
    """Stylization by one pass of a network that was trained before, for one style, for several styles or for any."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"alpha", "seed"})

    NOT_PIXELS: ClassVar[frozenset[str]] = Method.NOT_PIXELS | {"model", "family"}
    """Fields that are no part of a cell's identity: the identity of the network stands for them."""

    ADDED_LATER: ClassVar[frozenset[str]] = frozenset({"video"})

    RUNS_NETWORK: ClassVar[bool] = True
    SHARES_CONTENT: ClassVar[bool] = False

    NO_EFFECT: ClassVar[tuple[NoEffect, ...]] = (
        NoEffect("resize", {"size": ("original",)}),
        NoEffect("seed", unless={"family": ("texture_net", "doodle_net")}),
        NoEffect("alpha", {"mode": ("texture",)}),
        NoEffect("alpha", {"family": ("doodle_net", "super_resolution")}),
        NoEffect("color", {"mode": ("texture",)}),
        NoEffect("color", {"family": ("doodle_net", "super_resolution")}),
        NoEffect("style_scale", unless={"family": ("adain",)}),
        NoEffect("resize", {"mode": ("texture",)}),
    )

    name: Literal["feedforward"] = "feedforward"

    family: Family = "johnson"
    """Family of the network. A `johnson`, `mgan` or `texture_net` network knows one style, a `conditional` one several
    styles; an `adain` network takes any style. A `doodle_net` paints the mask of the content, in whose colours it must
    have been trained; an image of the content then gives no more than the proportions. A `super_resolution`
    network enlarges the content, without a style. Where images have masks, `adain` paints every region; the other
    families paint the regions whose colour is in the mask of a style that they know, and leave the photograph as it is
    in the rest."""

    model: Annotated[str, Field(min_length=1)] = LATEST
    """Which network to run: its id in the catalog of models or the beginning of the id; the URI of a .safetensors file;
    `latest`, the network of this family that was trained last for the cell's style (of `adain`, for any style; of
    `super_resolution`, for none); or the URI of a training manifest (.yaml), whose models are trained first where they
    are missing."""

    mode: Literal["stylize", "texture"] = "stylize"
    """`stylize`: the content in the style of the network. `texture`: a new picture from noise alone, by a `texture_net`
    that was trained with this mode."""

    size: Size = 512
    """Length in pixels of the side that `resize` names; or `original`, the size of the content image itself; with
    `mode: texture`, the length of both sides. A `super_resolution` network enlarges the content from this size."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image is scaled to `size`."""

    alpha: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Strength of the style, 1 being full strength. With `adain` it blends the features of the content with the
    exchanged ones (Huang & Belongie 2017, eq. 14), with the other families the content image with the result. It has no
    effect with `mode: texture`, on `doodle_net` and on `super_resolution`."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Long side of the style images divided by the long side of the picture, for `adain`; the other families have
    learned the size of their style in training."""

    color: Color = "style"
    """Colours of the result. `style`: those of the style. All others are those of the content. `luminance`: only the
    luminance of the stylized picture is kept (Gatys et al. 2016b). `oklab`: only its lightness in OkLab is kept
    (Ottosson 2020). `histogram`: the style image is given the mean and covariance of the content's colours beforehand,
    for `adain` only, since other networks have learned the colours of their styles. `histogram_after`: the finished
    picture is given them. Without effect on `doodle_net`, and
    on `super_resolution`, whose pictures have the histograms of the content."""

    seed: Seed = 0
    """Seed of the noise of a `texture_net` or `doodle_net`; networks of the other families take no noise."""

    tile: Pixels = 2048
    """Side in pixels of the overlapping squares in which a picture of more than `tile` x `tile` pixels passes through
    the network, to bound memory. Of `super_resolution` the squares count as they come out, enlarged."""

    tile_statistics: Literal["exact", "scaled"] = "exact"
    """Where the norms of the network take their statistics from when a picture passes in tiles. `exact`: from the whole
    picture, with one pass over the tiles for each norm; the result equals that of one pass without tiles. `scaled`:
    from the picture shrunk to one tile, in a single pass; colours may differ a little."""

    video: NetworkVideoConfig = NetworkVideoConfig()

    precision: Precision = "float32"

    @field_validator("family")
    @classmethod
    def _makes_pictures(cls, family: str) -> str:
        try:
            refuse_to_paint(family)
        except InputError as error:
            raise ValueError(str(error)) from error
        return family

    @property
    def by_style(self) -> bool:
        """Whether the cell's style chooses the network."""
        return self.model == LATEST or self.from_manifest

    @property
    def from_manifest(self) -> bool:
        """Whether the network is a model of a training manifest."""
        return self.model.endswith(MANIFESTS)

    @property
    def network(self) -> type[Training]:
        """The settings' class of the family, which answers planning's questions about its networks."""
        return TRAINING_CONFIGS[self.family]

    @property
    def needs(self) -> Needs:
        """The kinds of images that a cell is made from.

        The style may serve only to choose the network; the content may be a mask without a picture.
        """
        content: Needs = frozenset(("content",)) if self.mode == "stylize" else frozenset()
        knows = self.network.KNOWS
        style_is_known = knows == "none" or (knows == "one" and not self.by_style)
        return content if style_is_known else content | {"style"}

    @property
    def masks(self) -> Literal["none", "allowed", "content"]:
        """Whether masks matter: a `doodle_net` paints masks, other networks paint a style in the regions of its colour.

        A cell that names no style has no mask of a style either, and no region to paint.
        """
        if self.network.PAINTS == "masks":
            return "content"
        return "allowed" if self.needs >= {"content", "style"} else "none"

    @property
    def sizes_styles(self) -> bool:
        """Whether the size of a style image makes a difference: other networks have learned the size in training."""
        return self.network.KNOWS == "any"

    @property
    def canvas(self) -> tuple[int, int] | None:
        """Width and height of the picture: a square with `mode: texture`, else None."""
        return self.square if self.mode == "texture" else None

    def conflicts(self) -> Iterator[tuple[str, str, str]]:
        """Yield the settings that do not fit together: only a network of any style is given the style's colours."""
        yield from super().conflicts()
        if self.color == "histogram" and self.network.KNOWS != "any":
            message = f"the colours of a style cannot be changed for {self.family}, which has learned them"
            yield "color", message, "write color: histogram_after"

    @property
    def cost(self) -> float:
        """Cost of one cell: the pixels of the picture, since one pass of the network counts as one step."""
        return self.pixels

    @property
    def weights_as_written(self) -> list[str]:
        """Family and model of the network, as the manifest writes them."""
        return [self.family, self.model]
