"""What a manifest may say: frozen pydantic blocks, every field described; methods and axes are checked elsewhere."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from nst.config.block import Block
from nst.config.fields import ClipFormat, Mix
from nst.config.finish import FinishConfig
from nst.config.locations import check_uri

_TYPED_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def listed(value: Any) -> Any:
    """Return a text or a mapping as a list that has it alone, anything else as it is."""
    return [value] if isinstance(value, str | dict) else value


def is_color(mask: str) -> bool:
    """Return whether a mask is one colour for the whole image, and not the URI of a label image."""
    return re.fullmatch("#[0-9a-fA-F]{6}", mask) is not None


def _check_mask(mask: Any) -> Any:
    if mask is None:
        raise ValueError("found nothing, expected the URI of a label image or a colour; quote a colour: '#ff0000'")
    if not isinstance(mask, str) or not mask:
        return mask
    if mask.startswith("#"):
        if not is_color(mask):
            raise ValueError(f"found {mask[:40]!r}, expected six hexadecimal digits as in '#ff0000'")
        return mask.lower()
    if "*" in mask or mask.endswith("/"):
        raise ValueError("a mask is a single label image or a colour, not a glob or a prefix")
    return check_uri(mask)


def frames_of(text: str | None) -> tuple[int, int | None]:
    """Return the first and the last frame that a selection such as `10-80` names; None for the last of the clip."""
    first, _, last = (text or "-").partition("-")
    return int(first.strip() or 0), int(last.strip()) if last.strip() else None


def _check_frames(frames: Any) -> Any:
    if isinstance(frames, int) and not isinstance(frames, bool):
        frames = f"{frames}-{frames}" if frames >= 0 else str(frames)
    if not isinstance(frames, str):
        return frames
    if not re.fullmatch(r"\s*\d{0,9}\s*-\s*\d{0,9}\s*", frames):
        raise ValueError(f"found {frames[:40]!r}, expected e.g. 10-80, or 10- or -80, counted from zero")
    first, last = frames_of(frames)
    if last is not None and last < first:
        raise ValueError(f"found {frames!r}, expected the first frame before the last one")
    return frames


Uri = Annotated[str, Field(min_length=1, max_length=2048)]
Mask = Annotated[Uri | None, BeforeValidator(_check_mask)]
Frames = Annotated[str | None, BeforeValidator(_check_frames)]
Scale = Annotated[float, Field(gt=0, le=4)]
Name = Annotated[str, Field(pattern=_TYPED_NAME)]


class FromUri(Block):
    """A block with a `uri`, which may be written as the bare URI."""

    @model_validator(mode="before")
    @classmethod
    def _from_uri(cls, value: Any) -> Any:
        return {"uri": value} if isinstance(value, str) else value

    @field_validator("uri", "video", check_fields=False)
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        return value if value is None else check_uri(value)


class ContentSpec(FromUri):
    """Content images: a URI, a glob or a prefix; or a clip; or, for methods that draw from masks, a mask alone."""

    uri: Uri | None = None
    """Path or URI of an image, a glob (`photos/*.jpg`), or a prefix that ends in `/`. Relative to the manifest."""

    video: Uri | None = None
    """Path or URI of a clip, instead of `uri`: a video file, an animated GIF or WebP, or the stills of one clip as a
    glob or as a prefix that ends in `/`, in the order of their names, in which 10 follows 9. Relative to the manifest.
    Clips need the extra `video`."""

    frames: Frames = None
    """Which frames of the clip, counted from zero: `10-80`, both included, `10-` or `-80`; by default all of them."""

    every: Annotated[int, Field(ge=1, le=1000)] = 1
    """Take each frame, each second one, and so on, from the first one of `frames`."""

    rate: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Frames per second of a clip that is a sequence of stills (24 by default); files know their times."""

    name: Name | None = None
    """Readable name in tables and file names; the file's stem by default."""

    mask: Mask = Field(default=None, validate_default=False)
    """Label image whose colours are the regions, stretched over the image; or one colour, such as `'#ff0000'`, for the
    whole image. Each region takes the style of the same colour in the masks of the style."""

    @model_validator(mode="after")
    def _one_mask_each(self) -> ContentSpec:
        if self.video is not None:
            if self.uri is not None:
                raise ValueError("found both 'uri' and 'video', expected one of them")
            return self
        for key, value in {"frames": self.frames, "rate": self.rate, "every": self.every > 1}.items():
            if value:
                raise ValueError(f"found {key!r} without a clip, expected 'video' beside it")
        if self.uri is None and (self.mask is None or is_color(self.mask)):
            raise ValueError("the key 'uri' is missing; only a content whose 'mask' is a label image may leave it out")
        check_one_image(self.uri, self.mask)
        return self


def check_one_image(uri: str | None, mask: str | None) -> None:
    """Refuse a label image for several images.

    Raises:
        ValueError: `uri` is a glob or a prefix, and `mask` is a label image.
    """
    if uri and mask and not is_color(mask) and ("*" in uri or uri.endswith("/")):
        raise ValueError("one label image cannot be the mask of several images; write an entry for each image")


class MixImage(FromUri):
    """One image of a weighted mix."""

    uri: Uri
    """Path or URI of one image."""

    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Share in the mix; the weights of a mix are scaled to add up to one. With `mix: sum` they are not: each multiplies
    the Gram matrices of its image."""

    mask: Mask = Field(default=None, validate_default=False)
    """Its label image, or the colour of the one region that it is for: several styles in several regions."""

    scale: Scale = 1.0
    """Size of this image, divided by the size that the method gives to style images (`style_scale`)."""

    @field_validator("uri")
    @classmethod
    def _one_image(cls, value: str) -> str:
        if "*" in value or value.endswith("/"):
            raise ValueError("a mix names single images, not globs or prefixes")
        return value


class StyleSpec(FromUri):
    """One style, or several: a URI, a glob, a prefix, or a weighted mix of images."""

    uri: Uri | None = None
    """Path or URI of an image, a glob, or a prefix that ends in `/`: each image is a style."""

    name: Name | None = None
    """Readable name; the file's stem by default."""

    images: Annotated[tuple[MixImage, ...], Field(min_length=1, max_length=64)] | None = None
    """Images of one mixed style, instead of `uri`."""

    mix: Mix = "targets"
    """How `images` are mixed. `targets`: their targets (Gram matrices, ...) are averaged. `losses`: their losses are
    averaged, which with Gram matrices gives the same picture. `sum`: their Gram matrices are added, each multiplied by
    its weight (G1 + G2): the features get the energy of all styles together. For Gram matrices alone."""

    mask: Mask = Field(default=None, validate_default=False)
    """Label image of the image at `uri`, or one colour for the whole of it; the images of a mix have their own."""

    scale: Scale = 1.0
    """Size of the images at `uri`, divided by the size that the method gives to style images (`style_scale`): a smaller
    image makes finer strokes. The images of a mix have their own."""

    @model_validator(mode="after")
    def _one_source(self) -> StyleSpec:
        if (self.uri is None) == (self.images is None):
            found = "neither 'uri' nor 'images'" if self.uri is None else "both 'uri' and 'images'"
            raise ValueError(f"found {found}, expected one of them")
        if self.images and self.mask:
            raise ValueError("found 'mask' beside 'images', expected a mask for each image of the mix")
        if self.images and self.scale != 1.0:
            raise ValueError("found 'scale' beside 'images', expected a scale for each image of the mix")
        if self.mix == "sum" and len(self.images or ()) < 2:
            raise ValueError("found 'mix: sum' without a sum, expected 'images' with at least two images")
        check_one_image(self.uri, self.mask)
        return self

    @property
    def masks(self) -> tuple[str | None, ...]:
        """The masks of its images."""
        return tuple(image.mask for image in self.images) if self.images else (self.mask,)

    @property
    def scales(self) -> tuple[float, ...]:
        """The scales of its images, or of each image at `uri`."""
        return tuple(image.scale for image in self.images) if self.images else (self.scale,)


class Budget(Block):
    """What the sweep may cost; more is refused before anything runs."""

    cells: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Largest number of cells (pictures) of the sweep."""

    frames: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Largest number of frames of all cells whose contents are clips."""

    megapixels: Annotated[float, Field(gt=0)] = 10_000.0
    """Largest number of pixels of all these frames together, in millions."""

    hours: Annotated[float, Field(gt=0)] | None = None
    """Largest estimated duration in hours, where the catalog's history allows an estimate."""


class Output(Block):
    """How pictures are encoded."""

    format: Literal["png", "jpeg", "webp"] = "png"
    """PNG keeps every bit; the others lose some, so their format and quality are part of a cell's identity."""

    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """Quality of JPEG and WebP."""

    video: ClipFormat = "h264"
    """How clips are encoded: `h264`, `vp9` or `av1` in MP4 (Matroska where MP4 cannot hold the sound), lossless
    `ffv1` in Matroska, `gif`, or animated `webp`. Every frame is kept as PNG besides."""

    alpha: bool = False
    """Whether the picture is as transparent as the content image is, pixel by pixel; PNG and WebP only. Without it,
    and in all computation, transparent pixels are laid over white."""

    @model_validator(mode="after")
    def _jpeg_is_opaque(self) -> Output:
        if self.alpha and self.format == "jpeg":
            raise ValueError("JPEG holds no transparency; write format: png or format: webp, or remove 'alpha'")
        return self


class ManifestBlock(Block):
    """Everything that a manifest may say."""

    kind: Literal["sweep", "train"] = "sweep"
    """What the manifest declares: a sweep, or trained models (with other keys, see below)."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
    """Name of the sweep: small letters, digits, `.`, `_` and `-`."""

    extends: Uri | None = None
    """Path or URI of a manifest that this one is laid over: mappings are merged, everything else is replaced, `null`
    drops what the other says. Relative inputs of both are relative to the manifest that is run."""

    contents: Annotated[tuple[ContentSpec, ...], BeforeValidator(listed), Field(min_length=1)] = Field(
        default=(), validate_default=False
    )
    """Content images: one or a list of URIs, globs, prefixes or `{uri, name, mask}`. Left out for methods without
    them."""

    styles: Annotated[tuple[StyleSpec, ...], BeforeValidator(listed), Field(min_length=1)] = Field(
        default=(), validate_default=False
    )
    """Styles: one or a list of URIs, globs, prefixes, `{uri, name, mask, scale}` or `{name, mix, images}`. Left out for
    methods without them."""

    combine: Literal["product", "pairs"] = "product"
    """Which contents meet which styles. `product`: every content every style. `pairs`: the first content the first
    style, the second the second, and so on; there must be as many of the one as of the other. With the same images
    under `contents` and `styles`, `pairs` is the identity test: each picture in its own style."""

    method: Any = None
    """The method by name, with the settings that are not its defaults. Required, or else `methods`."""

    methods: Any = None
    """Several methods in place of `method`. Each axis of `sweep` multiplies those that have its setting."""

    sweep: Any = None
    """Axes over the method's settings."""

    budget: Budget = Budget()
    """What the sweep may cost: `cells`, `frames`, `megapixels` and `hours`."""

    finish: FinishConfig | None = None
    """The last step of every cell: `{model: ...}`, a trained network that its picture passes through before it is
    saved. A method's own `finish` and an axis over `finish` count in its place."""

    output: Output = Output()
    """How pictures are encoded: `format`, `quality` and `alpha`."""

    batch_size: Annotated[int, Field(ge=1, le=256)] | None = None
    """Largest number of cells optimised together; by default as many as make about a million pixels, at most 8."""

    preview_every: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Steps between two previews, small pictures on the page of what an optimisation has come to; 0 for none, by
    default about ten for each cell, and none up to 25 steps. They have the colours that the picture takes from its
    content in the end, but have not passed the network of a `finish`. Clips have none. No picture and no id changes."""
