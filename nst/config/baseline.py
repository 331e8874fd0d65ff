"""Settings of the baselines: pictures that need no network and no optimisation, against which metrics are judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from nst.config.effects import NoEffect
from nst.config.fields import Seed
from nst.config.method import Method
from nst.config.start import Size


class BaselineConfig(Method):
    """A picture that is no style transfer. A score that prefers it to a good stylization is no measure of quality."""

    REVISED: ClassVar[Mapping[str, Mapping[Any, int]]] = {}  # it has no `precision`
    VARIES: ClassVar[frozenset[str]] = frozenset({"kind", "blur_sigma", "noise_sigma", "seed"})

    NO_EFFECT: ClassVar[tuple[NoEffect, ...]] = (
        NoEffect("resize", {"size": ("original",)}),
        NoEffect("blur_sigma", unless={"kind": ("blur",)}),
        NoEffect("noise_sigma", unless={"kind": ("noise",)}),
        NoEffect("seed", unless={"kind": ("noise",)}),
    )

    name: Literal["baseline"] = "baseline"

    kind: Literal["content", "style", "colors", "blur", "noise"] = "content"
    """Which picture is made. `content`: the content image itself. `style`: the style image, scaled until it covers the
    picture, and cropped around its centre. `colors`: the content with the mean and the covariance of the style's
    colours (Gatys et al. 2016b, section 3.1), and no other change. `blur`: the content, blurred. `noise`: the content
    with noise added. Every kind is made once for each content and style, so that each pair has its rows to compare
    with; of several style images in a mix, the pictures that they give are averaged by their weights."""

    size: Size = 512
    """Length in pixels of the side that `resize` names; or `original`, the size of the content image itself."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image is scaled to `size`."""

    blur_sigma: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Standard deviation of the Gaussian window of `kind: blur`, divided by the longer side of the picture."""

    noise_sigma: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Standard deviation of the Gaussian noise of `kind: noise`, in units in which black is 0 and white is 1. The noise
    of every channel and pixel is drawn by itself; values below black or above white are clipped."""

    seed: Seed = 0
    """Seed of the noise of `kind: noise`."""

    @property
    def masks(self) -> Literal["allowed"]:
        """Masks are allowed, since a sweep with masks needs baselines, too; a baseline does not look at them."""
        return "allowed"

    @property
    def cost(self) -> float:
        """Cost of one cell: the pixels of the picture, since a baseline counts as one step."""
        return self.pixels

    @property
    def weights_as_written(self) -> list[str]:
        """Nothing: there are no weights."""
        return []
