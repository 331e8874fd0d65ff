"""A comparison as one self-contained page: no script, small pictures inside, large ones by their address."""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from nst.errors import NstError
from tasks.pages.gallery.links import relative

if TYPE_CHECKING:
    from tasks.pages.comparison.records import Comparison, Side
    from tasks.root import Root

MOST: Final = 200
"""Pairs whose pictures the page shows: about 4 MB."""

_DIGEST: Final = re.compile(r"\b[0-9a-f]{32,64}\b")

_HERE: Final = Path(__file__).parent


def comparison_page(root: Root, comparison: Comparison, page_uri: str) -> str:
    """Return the page as text, to be written as UTF-8.

    Args:
        root: Where the pictures lie.
        comparison: What is shown.
        page_uri: URI at which the page will lie; pictures of the same store are named relative to it.
    """
    pairs = [
        (pair.label, *((side, _embedded(root, side), relative(side.picture, page_uri)) for side in (pair.a, pair.b)))
        for pair in comparison.pairs[:MOST]
    ]
    page: str = _template().render(
        comparison=comparison,
        pairs=pairs,
        more=len(comparison.pairs) - len(pairs),
        style=Markup(_style()),  # noqa: S704  # our own file
        shown=shown,
    )
    return page.encode("utf-8", "replace").decode()  # lone surrogates could not be written


def shown(value: Any) -> str:
    """Return a value as people read it: numbers with four digits, digests with twelve, several after each other."""
    if isinstance(value, tuple | list):
        return ", ".join(map(shown, value)) or "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return _DIGEST.sub(lambda digest: digest[0][:12], value)
    return "-" if value is None else str(value)


def _embedded(root: Root, side: Side) -> str | None:
    """Return a data URL of the thumbnail; None if it cannot be read."""
    from tasks.layout import thumbnail_key

    try:
        data = root.store.get(thumbnail_key(side.digest))
    except (FileNotFoundError, NstError):
        return None
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"


@cache
def _style() -> str:
    return (_HERE.parent / "gallery" / "page.css").read_text(encoding="utf-8")


@cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string((_HERE / "page.html").read_text(encoding="utf-8"))
