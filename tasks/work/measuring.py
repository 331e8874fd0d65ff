"""Measures the pictures of a worker; what they are compared with is kept for the next picture of the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nst.pictures import metrics
from nst.recent import Recent, bytes_of

if TYPE_CHECKING:
    import numpy as np

    from nst.workspace import Request

_ROOM: Final = 2**27
"""Bytes of kept references of contents, and of styles, at least one of each."""


class Measuring:
    """Returns the metrics of pictures without weights (`nst.pictures.metrics`)."""

    def __init__(self) -> None:
        self._contents: Recent[metrics.ContentReference] = Recent(_ROOM, bytes_of)
        self._styles: Recent[metrics.StyleReference] = Recent(_ROOM, bytes_of)

    def measure(self, image: np.ndarray, request: Request) -> dict[str, float]:
        """Return the metrics of the picture of a request, HWC uint8 RGB, by name."""
        return metrics.compare(image, self._content(image, request), self._style(image, request))

    def _content(self, image: np.ndarray, request: Request) -> metrics.ContentReference | None:
        content, (height, width) = request.content, image.shape[:2]
        if content is None:
            return None
        key = (content.digest, width, height)
        return self._contents.get(key, lambda: metrics.content_reference(content.array, width, height))

    def _style(self, image: np.ndarray, request: Request) -> metrics.StyleReference | None:
        styles, given, (height, width) = request.styles, request.style_weights, image.shape[:2]
        if not styles and request.trained_style:
            styles, given = (request.trained_style,), (1.0,)
        if not styles:
            return None
        weights = [weight / sum(given) for weight in given]
        key = (tuple(style.digest for style in styles), tuple(weights), width, height)
        arrays = [style.array for style in styles]
        return self._styles.get(key, lambda: metrics.style_reference(arrays, weights, width, height))
