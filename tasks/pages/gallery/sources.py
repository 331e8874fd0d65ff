"""Where the inputs of each cell were read, and which frames its clip has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nst.config.feedforward import FeedforwardConfig
from nst.yaml.json_text import from_json
from tasks.inputs.patterns import magic_at
from tasks.pages.gallery.links import relative
from tasks.pages.gallery.values import coded, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SOURCES: Final = (
    "content_uri", "content_mask_uri", "style_uris", "style_mask_uris", "style_weights", "style_mix",
    "style_scales",
)  # fmt: skip


def sources(cells: Sequence[Mapping[str, Any]], page_uri: str) -> dict[str, Any]:
    """Return where the inputs were read, for the manifest of a cell; each combination once.

    A clip has its selection of frames as its manifest writes it, and a `link` by which a browser may play it; a picture
    that is no opaque PNG has its `output`.
    """
    found = coded([(*_named_sources(row), tuple(output(row).items()), _selection(row)) for row in cells])
    found["values"] = [
        {
            "content": content,
            "mask": mask,
            "styles": from_json(styles or "[]"),
            "masks": from_json(masks or "[]"),
            "weights": from_json(weights or "[]"),
            "mix": mix,
            "scales": from_json(scales or "[]"),
            **({"output": dict(written)} if written else {}),
            **({"clip": dict(selection), "link": _link(content, page_uri)} if selection else {}),
        }
        for content, mask, styles, masks, weights, mix, scales, written, selection in found["values"]
    ]
    return found


def clips(cells: Sequence[Mapping[str, Any]], moments: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return the frames of the clips: when each is shown and what number it has in the content; each clip once.

    The index of a still, and of a cell without a picture, is -1.

    Args:
        cells: The rows.
        moments: When each frame is shown, in seconds of the content, by the id of a cell; rising. The frames of others
            are taken to follow each other evenly from 0.
    """
    found = coded([_frames(row, moments) for row in cells])
    names = ("source", "first", "every", "times", "end")
    values = found["values"]
    found["values"] = [dict(zip(names, value, strict=True)) for value in values if value]
    place = {number: at for at, number in enumerate(n for n, value in enumerate(values) if value)}
    found["index"] = [place.get(number, -1) for number in found["index"]]
    return found


def _frames(row: Mapping[str, Any], moments: Mapping[str, Sequence[float]]) -> tuple[Any, ...]:
    count, seconds = plain(row.get("clip_frames"), "int64"), plain(row.get("clip_seconds"))
    if not count or not seconds or not row.get("picture_uri"):
        return ()
    times = tuple(moments.get(row["cell_id"], ()))
    if len(times) != count:
        times = tuple(seconds * number / count for number in range(count))
    first, every = (plain(row[key], "int64") for key in ("clip_first", "clip_every"))
    exact = tuple(round(time, 6) for time in (*times, times[0] + seconds))
    return plain(row.get("content_digest")), first, every, exact[:-1], exact[-1]


def _selection(row: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return the keys and values by which a manifest selects the frames of a clip; () for a still."""
    first, last, every = (plain(row.get(f"clip_{key}"), "int64") for key in ("first", "last", "every"))
    if first is None:
        return ()
    frames, seconds = plain(row.get("clip_frames")), plain(row.get("clip_seconds"))
    selection = [("frames", f"{first}-{last}"), ("every", every if every > 1 else None)]
    if _is_sequence(row.get("content_uri")) and frames and seconds:
        selection.append(("rate", float(f"{frames * every / seconds:.6g}")))
    return tuple(selection)


def output(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the picture is encoded, as far as its manifest need say it: PNG and a clip's default are left out."""
    form, quality = plain(row.get("picture_format")), plain(row.get("picture_quality"), "int64")
    found = {"format": form, "quality": quality} if form in {"jpeg", "webp"} and not row.get("clip_frames") else {}
    found["alpha"] = True if row.get("picture_alpha") is True else None
    return {key: value for key, value in found.items() if value is not None}


def _link(uri: str, page_uri: str) -> str | None:
    """Return where a browser finds the clip beside the page; None for others, since a page asks no other address."""
    elsewhere = isinstance(uri, str) and uri.startswith(("http://", "https://"))
    return None if _is_sequence(uri) or elsewhere else relative(uri, page_uri)


def _is_sequence(uri: Any) -> bool:
    return isinstance(uri, str) and (uri.endswith("/") or magic_at(uri) >= 0)


def _named_sources(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the columns of `_SOURCES`; those about the style are None where the manifest of the cell names no style.

    The row of a network of one style tells the style of its training, and a manifest that names the network takes none.
    """
    named = True
    if row.get("method") == "feedforward":
        config = FeedforwardConfig.model_construct(family=row["family"], model=row["model"], mode=row["mode"])
        named = "style" in config.needs
    return tuple(plain(row.get(key)) if named or not key.startswith("style_") else None for key in _SOURCES)
