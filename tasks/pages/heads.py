"""Small pictures of contents and styles, which head the rows and columns of a page."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nst.errors import NstError
from nst.pictures.images import decode, thumbnail
from nst.records import ClipRef, ImageRef, MaskRef
from nst.yaml.json_text import from_json
from tasks.inputs.digests import MOST_BYTES
from tasks.inputs.reading import read_picture, read_planned
from tasks.pages.gallery import side_of_heads
from tasks.pages.sheet_drawing import montage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from nst.planning.cells import Cells
    from nst.records import StyleRef
    from tasks.pages.large_heads import LargeHeads
    from tasks.store import Store

_HEADERS: Final = 200
"""Content or style pictures that head rows and columns; more are named only."""

_HEADER_PX: Final = 640


class Inputs(NamedTuple):
    """The images of a sweep by the names that its cells give to them."""

    contents: Mapping[str, Sequence[ImageRef]]
    styles: Mapping[str, Sequence[ImageRef]]


@dataclass(frozen=True, slots=True)
class Heads:
    """Small pictures of inputs (file bytes) by name."""

    contents: Mapping[str, bytes]
    styles: Mapping[str, bytes]
    large: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Files beside the page with larger ones (`LargeHeads.links`)."""


def inputs_of_plan(cells: Cells) -> Inputs:
    """Return the images that a plan names; a network without a style of its own stands for that of its training."""
    known = (*_trained_styles(cells), *cells.styles)
    return Inputs(
        {content.name: (content,) for content in cells.contents if content},
        {style.name: style.images for style in known if style},
    )


def inputs_of_rows(rows: Sequence[Mapping[str, Any]]) -> Inputs:
    """Return the images that rows of `results` name.

    Images behind a signed link cannot be read any more, and head no row or column then.
    """
    done = [row for row in rows if row["picture_uri"] is not None]
    return Inputs(
        {row["content_name"]: (_content(row),) for row in done if row["content_name"]},
        {row["style_name"]: _style(row) for row in done if row["style_name"] and row.get("style_uris")},
    )


def heads_of(inputs: Inputs, store: Store, large: LargeHeads) -> Heads:
    """Return small pictures of inputs by name, a mix as all of its images; what cannot be read is left out.

    The cells of an image that cannot be read say why.

    Args:
        inputs: The inputs.
        store: The store of the root, which knows clips.
        large: Writes those that the page's pictures need larger.
    """
    count = sum(min(_HEADERS, len(images)) for images in inputs)
    side = side_of_heads(count)
    contents = _small("content", inputs.contents, store, large, side)
    return Heads(contents, _small("style", inputs.styles, store, large, side), large.links)


def _small(
    kind: str, images: Mapping[str, Sequence[ImageRef]], store: Store, large: LargeHeads, side: int
) -> dict[str, bytes]:
    headers = {}
    for name, parts in islice(images.items(), _HEADERS):
        pictures = []
        for image in parts:
            with contextlib.suppress(NstError):
                pictures.append(_shown(image, store))
        if pictures:
            headers[name] = thumbnail(montage(pictures, _HEADER_PX), _HEADER_PX)
            large.keep(kind, name, pictures, side)
    return headers


def _content(row: Mapping[str, Any]) -> ImageRef:
    """Return the content image of a row, which may be a mask alone."""
    mask_uri = row.get("content_mask_uri")
    mask = MaskRef(mask_uri, row["content_mask_digest"]) if mask_uri else None
    clip = None
    if row.get("clip_frames"):
        clip = ClipRef(int(row["clip_first"]), int(row["clip_last"]), int(row["clip_every"]))
    return ImageRef(row["content_name"], row.get("content_uri") or "", row.get("content_digest") or "", mask, clip=clip)


def _style(row: Mapping[str, Any]) -> list[ImageRef]:
    """Return the images of the style of a row."""
    images = zip(from_json(row["style_uris"]), from_json(row["style_digests"]), strict=True)
    return [ImageRef(row["style_name"], uri, digest) for uri, digest in images]


def _trained_styles(cells: Cells) -> list[StyleRef | None]:
    """Return the styles that the networks of cells without a style of their own were trained for."""
    needs = cells.variants.needs
    return [model.style for (structure, _), model in cells.models.items() if "style" not in needs[structure]]


def _shown(image: ImageRef, store: Store) -> np.ndarray:
    """Return the picture that stands for an input: of a clip its first selected frame, of a mask alone the mask.

    Raises:
        NstError: It cannot be read, or is a clip and the extra `video` is not installed.
    """
    if image.clip is None:
        return read_picture(image if image.uri or image.mask is None else image.mask)
    if image.clip.stills:
        still = image.clip.stills[image.clip.first]
        return decode(read_planned(still.link or still.uri, still.digest))
    from tasks.clips.keeping import kept_info  # late: the extra `video` is needed for clips alone
    from tasks.clips.reading import frames

    data = read_planned(image.link or image.uri, image.digest, max_bytes=MOST_BYTES)
    info = kept_info(store, image.digest, image.uri, lambda: data)
    ((_, picture),) = frames(data, [image.clip.first], info)
    return picture
