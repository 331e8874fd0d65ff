"""Reads what cells are made from and makes the requests that methods take; decoded images and masks stay warm."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from nst.errors import InputError, NstError
from nst.recent import Recent, bytes_of
from nst.workspace import NetworkFile, Request
from tasks.inputs.reading import read_mask, read_pixels
from tasks.models.files import load_model

if TYPE_CHECKING:
    from nst.pictures.images import Pixels
    from nst.pictures.masks import Labels
    from nst.records import Cell, ImageRef, MaskRef, ModelRef, StyleRef

_ROOM_FOR_IMAGES: Final = 2**30
_ROOM_FOR_MASKS: Final = 2**28
"""Bytes of decoded images and of masks that a worker keeps warm, at least one of each: an image of 100 million pixels
takes 300 MB."""


class Requests:
    """Makes the requests of cells."""

    def __init__(self) -> None:
        self._images: Recent[Pixels] = Recent(_ROOM_FOR_IMAGES, bytes_of)
        self._masks: Recent[Labels] = Recent(_ROOM_FOR_MASKS, bytes_of)
        self._unreadable: set[StyleRef] = set()

    def of(self, cell: Cell) -> Request:
        """Return the request of a cell, its images decoded; of a clip without a content, whose frames come one by one.

        Raises:
            InputError: An input cannot be read, or is another one than was planned.
        """
        styles = cell.style.images if cell.style else ()
        return Request(
            cell_id=cell.cell_id,
            content=self._content(cell.content) if cell.content else None,
            styles=self._styles(cell.style) if cell.style else (),
            style_weights=cell.style.weights if cell.style else (),
            mix=cell.style.mix if cell.style else "targets",
            config=cell.config,
            content_mask=self._labels(cell.content.mask) if cell.content and cell.content.mask else None,
            style_masks=tuple(self._labels(image.mask) for image in styles if image.mask),
            model=_network(cell.model),
            start=self._pixels(cell.start) if cell.start else None,
            trained_style=None if cell.style else self._trained_style(cell),
            finish=_network(cell.finish),
        )

    def _content(self, ref: ImageRef) -> Pixels | None:
        """Return a content image; None for a mask alone and for a clip, whose frames come one by one."""
        return self._pixels(ref) if ref.uri and not ref.clip else None

    def _pixels(self, ref: ImageRef) -> Pixels:
        return self._images.get(ref.digest, lambda: read_pixels(ref))

    def _styles(self, style: StyleRef) -> tuple[Pixels, ...]:
        images = map(self._pixels, style.images)
        scales = style.scales or (1.0,) * len(style.images)
        return tuple(replace(image, scale=scale) for image, scale in zip(images, scales, strict=True))

    def _trained_style(self, cell: Cell) -> Pixels | None:
        """Return the style image that the cell's network was trained for; None if it is not known or cannot be read.

        Metrics alone look at it, and no picture is to fail for its metrics.
        """
        style = cell.model.style if cell.model else None
        if style is None or style in self._unreadable:
            return None
        try:
            return self._pixels(style.images[0])
        except NstError:
            self._unreadable.add(style)  # a site that does not answer is waited for once, and not for every cell
            return None

    def _labels(self, mask: MaskRef) -> Labels:
        return self._masks.get(mask.digest, lambda: read_mask(mask))


def _network(model: ModelRef | None) -> NetworkFile | None:
    """Return the file of a trained network that a cell runs, if it runs one.

    Raises:
        InputError: It is not trained.
    """
    if model is None:
        return None
    if not model.uri:
        raise InputError(f"its model {model.identity[:8]} is not trained", hint="see the failures, run again")
    return load_model(model.uri, model.digest)
