"""Settings of neural style transfer (Gatys, Ecker & Bethge 2016), with their sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from nst.config.backbone import BackboneConfig
from nst.config.effects import NoEffect
from nst.config.energies import AUTHORS
from nst.config.fields import (
    Color,
    LayerWeights,
    Precision,
    Representation,
    Seed,
    Steps,
    TraceEvery,
    Weight,
)
from nst.config.method import PixelMethod
from nst.config.optimizer import EarlyStop, LbfgsConfig, OptimizerConfig, PyramidConfig, coarse_to_fine
from nst.config.photorealism import GuidedFilter, PhotorealismWeight
from nst.config.presets import PRESETS, over_preset
from nst.config.start import FromAnything, Size
from nst.config.video import PixelVideoConfig, TemporalWeight
from nst.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nst.config.energies import AuthorNetwork


class GatysConfig(PixelMethod):
    """Image style transfer: the pixels are optimised towards the content's features and the style's Gram matrices."""

    CARRIES_DETAIL: ClassVar[bool] = True

    VARIES: ClassVar[frozenset[str]] = frozenset(
        {
            "content_weight", "style_weight", "tv_weight", "laplacian_weight", "photorealism_weight", "temporal_weight",
            "seed", "preset",
        }
    )  # fmt: skip

    NOT_PIXELS: ClassVar[frozenset[str]] = PixelMethod.NOT_PIXELS | {"preset"}

    ADDED_LATER: ClassVar[frozenset[str]] = frozenset(
        {
            "energies", "laplacian_weight", "laplacian_pool", "photorealism_weight", "early_stop", "temporal_weight",
            "video", "guided_filter",
        }
    )  # fmt: skip

    DECIDES: ClassVar[frozenset[str]] = PixelMethod.DECIDES | {"preset", "size"}
    INDEPENDENT_VALIDATORS: ClassVar[frozenset[str]] = PixelMethod.INDEPENDENT_VALIDATORS | {
        "_apply_preset",
        "_fit_pyramid",
    }

    NO_EFFECT: ClassVar[tuple[NoEffect, ...]] = (
        *PixelMethod.NO_EFFECT,
        NoEffect("seed", {"noise": (0.0,)}, unless={"init": ("noise",)}),
        NoEffect("noise", {"init": ("noise",)}),
        NoEffect("resize", {"size": ("original",)}),
        NoEffect("energies", {"units": ("relative",)}),
        NoEffect("tv", {"tv_weight": (0.0,)}),
        NoEffect("laplacian_pool", {"laplacian_weight": (0.0,)}),
        NoEffect("pyramid.warm_start", {"optimizer.name": ("lbfgs",)}),
    )

    name: Literal["gatys"] = "gatys"

    preset: Literal["gatys", "jcjohnson", "crowsonkb", "pytorch"] | None = None
    """Name of another implementation, whose settings become the defaults, with its network and its units of weights
    (`nst.config.presets`). `gatys` and `jcjohnson` were made with Caffe's VGG-19: `backbone: {weights: FILE}` names
    it. On other networks `energies` becomes `author`."""

    units: Literal["relative", "paper", "gatys", "jcjohnson", "crowsonkb", "pytorch"] = "relative"
    """Units of the weights. `relative` divides each loss by the energy of its target, so that a weight means the same
    on every backbone; all others are the absolute units of an implementation (`nst.losses.units`)."""

    energies: Literal["own", "author"] = "own"
    """Energies that convert weights in absolute `units`. `own`: those of the cell's own targets, so that each loss is
    its implementation's to the letter, which fits its author's network only. `author`: those measured once on the
    author's network (`nst.config.energies`), so that content, style and total variation have their author's balance on
    every network. A preset takes `author` unless the backbone is its author's."""

    size: Size = 512
    """Length in pixels of the side that `resize` names; or `original`, the size of the content image itself."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image is scaled to `size` (the long side in jcjohnson/neural-style)."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Long side of the style images divided by the long side of the picture."""

    content_layers: LayerWeights = dict.fromkeys(("relu4_2",), 1.0)
    """Layers of the content loss with their weights (relu4_2 in Gatys et al. 2016)."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), 0.2)
    """Layers of the style loss with their weights (these five, equally, in Gatys et al. 2016)."""

    style_representation: Representation = "gram"
    """Which statistics of the features the style loss compares. `gram`: Gram matrices (Gatys et al. 2016 eq. 3-5).
    `moments`: means and covariances, by the Wasserstein-2 distance of Gaussians (crowsonkb/style-transfer-pytorch);
    stronger at the same weight. `sliced`: whole distributions, by the sliced Wasserstein distance (Heitz et al. 2021).
    `histogram`: Gram matrices and histograms of channels (Risser et al. 2017); steadier in colour."""

    content_weight: Weight = 1.0
    """Weight of the content loss, in `units`."""

    style_weight: Weight = 100.0
    """Weight of the style loss, in `units`. In relative units 3 to 100 is a good range, on every backbone."""

    tv_weight: Weight = 1.0
    """Weight of the total variation, in `units`; more makes the picture smoother."""

    tv: Literal["squared", "absolute", "euclidean", "nine_point"] = "squared"
    """Kind of total variation (`nst.losses.tv`). `squared`: squared differences of neighbours (jcjohnson/neural-style).
    `absolute`: absolute differences (ProGamerGov/neural-style-pt). `euclidean`: lengths of the gradient (Rudin, Osher &
    Fatemi 1992). `nine_point`: squared differences, diagonals included (crowsonkb/style-transfer-pytorch)."""

    laplacian_weight: Weight = 0.0
    """Weight, in `units`, of the Laplacian loss, which keeps the content's edges (Li, Xu, Nie & Liu 2017). In relative
    units 0.1 to 1 is a good range; from 3 on the squares of `laplacian_pool` show as a fine pattern (own trials)."""

    laplacian_pool: Annotated[int, Field(ge=1, le=64)] = 4
    """Side in pixels of the squares over which the picture is averaged before its Laplacian is taken, at every level of
    the pyramid (4 in Li et al. 2017 and in askerlee/lapstyle)."""

    photorealism_weight: PhotorealismWeight = 0.0
    guided_filter: GuidedFilter = None

    init: FromAnything = "content"
    """What the picture starts from: the content image, noise (as in Gatys et al. 2016), the style image, or a given
    picture: `{uri: sketch.png}`."""

    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of seeded noise mixed into the picture that the optimisation starts from, unless it is noise already."""

    seed: Seed = 0
    """Seed of the noise that the picture starts from or that `noise` mixes in. Without noise it makes no difference."""

    steps: Steps = 300
    optimizer: OptimizerConfig = LbfgsConfig()
    early_stop: EarlyStop = None
    pyramid: PyramidConfig = PyramidConfig(levels=2)
    """Coarse to fine. Without this key two levels from 128 pixels on, and one below; a preset has its own."""

    color: Color = "style"

    temporal_weight: TemporalWeight = 300.0
    video: PixelVideoConfig = PixelVideoConfig()

    backbone: BackboneConfig = BackboneConfig()
    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def masks(self) -> Literal["allowed"]:
        """Masks may be given with every representation: styles are compared region by region."""
        return "allowed"

    @property
    def adds_styles(self) -> bool:
        """Whether the styles of a mix may be added: Gram matrices are compared."""
        return self.style_representation == "gram"

    @property
    def author(self) -> AuthorNetwork | None:
        """The network whose energies convert the weights; None where those of the targets do."""
        return AUTHORS.get(self.units) if self.energies == "author" else None

    def conflicts(self) -> Iterator[tuple[str, str, str]]:
        """Yield the settings that do not fit together, layers without an energy of the author's among them."""
        yield from super().conflicts()
        if self.energies == "own" or self.units == "relative":
            return
        hint = "write energies: own, or units: relative with weights for any network"
        if self.author is None:
            yield "energies", f"no network is known that weights in units {self.units} were made for", hint
        elif unknown := sorted((self.content_layers | self.style_layers).keys() - self.author.layers.keys()):
            lacking = f"the energies of {self.author.title} are not known at {', '.join(unknown)}"
            yield "energies", lacking, f"take some of {', '.join(self.author.layers)}; or {hint}"

    def remarks(self) -> Iterator[str]:
        """Yield what planning says about the settings: that the weights are converted, and how."""
        if self.author and self.units != "relative":
            estimated = self.author.estimated(self.content_layers | self.style_layers)
            yield (
                f"the loss weights in units {self.units} were made for {self.author.title}; for the backbone "
                f"{self.backbone.name} with weights {redacted(self.backbone.weights)} they are converted, so that "
                "content, style and smoothness keep their balance"
                + (f" ({', '.join(estimated)}: by an estimate)" if estimated else "")
            )

    @model_validator(mode="before")
    @classmethod
    def _fit_pyramid(cls, value: Any) -> Any:
        if isinstance(value, dict) and "pyramid" not in value:
            return value | {"pyramid": coarse_to_fine(value.get("size", cls.model_fields["size"].default))}
        return value

    @model_validator(mode="before")  # before `_fit_pyramid`: the last one comes first
    @classmethod
    def _apply_preset(cls, value: Any) -> Any:
        preset = value.get("preset") if isinstance(value, dict) else None
        if isinstance(preset, str) and preset in PRESETS:
            return over_preset(value)
        return value
