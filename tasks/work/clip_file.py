"""One clip through a trained network, from a file to a file; nothing is recorded in the catalog."""

from __future__ import annotations

import hashlib
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nst.config.feedforward import FeedforwardConfig
from nst.errors import UserError
from nst.methods.start import picture_size
from nst.pictures.images import Pixels
from nst.records import ClipRef, ImageRef
from nst.redaction import redacted
from tasks.clips.probe import probe
from tasks.clips.writing import EXTENSIONS, write_clip
from tasks.inputs.digests import MOST_BYTES
from tasks.inputs.images import stem
from tasks.inputs.uris import read_uri
from tasks.store import open_store
from tasks.work.clip_source import Clip, ClipSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from nst.config.fields import ClipFormat
    from tasks.models.stylize import Painter

_FORMS: Final[dict[str, ClipFormat]] = {
    ".mp4": "h264", ".mov": "h264", ".webm": "vp9", ".mkv": "ffv1", ".gif": "gif", ".webp": "webp",
}  # fmt: skip
"""Encodings by the ending of the file that is to be written."""


@dataclass(frozen=True, slots=True)
class Written:
    """A clip that was written: its file, the number of its frames, and the seconds that all of it took."""

    path: Path
    frames: int
    seconds: float


def stylize_clip(
    painter: Painter, uri: str, style: str = "", out: Path | None = None, *, on_frame: Callable[[int, int], None]
) -> Written:
    """Stylize a clip with a trained network, coherently, and return what was written; its sound and times are kept.

    Args:
        painter: The network with its style.
        uri: Path or URI of the clip.
        style: Path or URI of the painter's style, for the name of the file.
        out: File to write; by default an .mp4 in the working directory, named after clip and style.
        on_frame: Called with (number of frames done, number of all frames).

    Raises:
        UserError: The clip cannot be read, or the file not be written.
    """
    began = time.monotonic()
    target = out or Path(f"{stem(uri)}-{stem(style) if style else painter.name}.mp4")
    form = _FORMS.get(target.suffix.lower())
    if form is None:
        raise UserError(f"{target} has no known ending of a clip", hint=f"known: {', '.join(_FORMS)}")
    assert target.suffix.lower() in EXTENSIONS[form], "every ending holds its encoding"
    if painter.paints_masks:
        raise UserError(f"model {painter.name} paints masks, and a clip has none")
    data = read_uri(uri, max_bytes=MOST_BYTES)
    info = probe(data, redacted(uri))
    ref = ImageRef(stem(uri), uri, hashlib.sha256(data).hexdigest(), clip=ClipRef(0, info.frames - 1, form=form))
    clip = Clip(ref, data, info)
    ((_, first),) = clip.decoded([0])
    request = painter.request(Pixels("first", first), uri)
    assert isinstance(request.config, FeedforwardConfig)
    source = ClipSource(clip, picture_size(request), request.config.video.flow, painter.device)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"clip{target.suffix.lower()}"
        sound = clip.data if clip.has_sound and form not in {"gif", "webp"} else None
        pictures = _painted(painter, source, uri, on_frame)
        write_clip(pictures, clip.times, clip.time_base, form, file, end=clip.end, audio_from=sound)
        open_store(str(target.parent)).put(target.name, file.read_bytes())
    return Written(target, info.frames, time.monotonic() - began)


def _painted(
    painter: Painter, source: ClipSource, name: str, on_frame: Callable[[int, int], None]
) -> Iterator[np.ndarray]:
    """Yield the stylized frames of a clip, each mixed with the one before it in the same shot."""
    total, done = len(source.clip.numbers), 0
    for shot in source.shots():
        held, last = source.held(shot), None
        for place, number in enumerate(shot):
            request = replace(painter.request(source.pixels(number), name), shot=held)
            if last is not None and painter.factor == 1:
                request = replace(request, before=(source.brought(last, number, shot[place - 1]),))
            last = painter.paint(request)
            done += 1
            on_frame(done, total)
            yield last
