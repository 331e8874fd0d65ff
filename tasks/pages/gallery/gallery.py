"""One self-contained HTML page from catalog rows. It loads nothing but pictures and clips, by relative URLs."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from nst.errors import InputError
from nst.pictures.images import decode, resize
from tasks.pages.gallery.columns import tabulate
from tasks.pages.gallery.links import relative

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HERE: Final = Path(__file__).parent
_SCRIPTS: Final = (
    "model.js", "grid.js", "clip.js", "zoom.js", "steps.js", "box.js", "facts.js", "plot.js", "live.js", "choices.js",
    "marks.js", "vote.js", "ranking.js", "main.js",
)  # fmt: skip
_HEAD_BYTES: Final = 3_000_000
"""About how many bytes of content and style pictures a page may carry."""


def build_gallery(
    rows: Sequence[Mapping[str, Any]],
    *,
    title: str,
    page_uri: str,
    previews_uri: str = "",
    contents: Mapping[str, bytes] | None = None,
    styles: Mapping[str, bytes] | None = None,
    large: Mapping[str, Mapping[str, str]] | None = None,
    moments: Mapping[str, Sequence[float]] | None = None,
    run: str = "",
    follows: Sequence[str] = (),
    has_traces: bool = False,
) -> str:
    """Return the page as text, to be written as UTF-8.

    Args:
        rows: Rows of `results` and `failures`, in the order of the manifest. Of several rows of one cell, a result wins
            over failures and a later failure over earlier ones; columns that are absent or null are left out.
        title: Heading; any text.
        page_uri: URI at which the page will lie: pictures below the same root are named relative to it.
        previews_uri: URI of the folder of all previews (`tasks.layout.PREVIEWS`); "" for a page that shows none.
        contents: Content pictures (file bytes) by name, for the headings and to compare with; carried in the page,
            scaled down. Of a missing or unreadable picture only the name is shown.
        styles: The same for styles.
        large: Addresses beside the page of larger ones by name, for the kinds `content` and `style`; loaded when
            somebody compares a picture with them.
        moments: When each frame of a clip is shown, in seconds of its content, by the cell's id. The frames of a clip
            without an entry are taken to follow each other evenly from 0.
        run: Id of the run that makes the pictures while the page is open: it then reads `live.js` beside it now and
            then (`tasks.pages.news`). "" for a page that is finished.
        follows: URIs of the news of further runs that the page reads then: of the sweeps that a page of several shows.
        has_traces: Whether `traces.js` lies beside the page (`tasks.pages.traces`).
    """
    data = {"run": run, "traces": has_traces, **tabulate(rows, page_uri, moments, growing=bool(run))}
    data["follows"] = [relative(uri, page_uri) for uri in follows]
    data["previews"]["base"] = relative(previews_uri, page_uri)
    heads = {"content": contents or {}, "style": styles or {}}
    side = side_of_heads(sum(len(known) for known in heads.values()))
    data["large"] = large or {}
    data["heads"] = {
        kind: {name: _embedded(each, side) for name, each in known.items()} for kind, known in heads.items()
    }
    counts = {"pictures": data["errors"].count(None), "not done": data["errors"].count("")}
    counts["failed"] = len(data["errors"]) - sum(counts.values())
    script = _script()
    page: str = _template().render(
        title=title,
        summary=", ".join(f"{n:,} {what}" for what, n in counts.items() if n or what == "pictures"),
        style=Markup(_read("page.css")),  # noqa: S704  # our own file
        script=Markup(script),  # noqa: S704  # our own files
        loads="'strict-dynamic'" if run or has_traces else "",
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=Markup(_json_for_html(data)),  # noqa: S704  # escaped by _json_for_html
    )
    return page.encode("utf-8", "replace").decode()  # lone surrogates could not be written


def side_of_heads(count: int) -> int:
    """Return the long side in pixels that a page with so many contents and styles carries them with, at most."""
    return 640 if count * 60_000 < _HEAD_BYTES else 256 if count * 12_000 < _HEAD_BYTES else 96


def _json_for_html(value: object) -> str:
    """Return JSON that no HTML parser takes for markup, whatever strings it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def _embedded(data: bytes, side: int) -> str | None:
    """Return a data URL of the picture with its long side at most `side` pixels; None if it cannot be read."""
    try:
        picture = decode(data)
    except InputError:
        return None
    out = BytesIO()
    small = resize(picture, side) if max(picture.shape[:2]) > side else picture
    Image.fromarray(small).save(out, "WEBP", quality=78, method=2)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()


@cache
def _template() -> Any:
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(_read("page.html"))


@cache
def _script() -> str:
    return "\n".join(_read(name) for name in _SCRIPTS)


@cache
def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
