"""What an open page reads now and then: the file `live.js` beside it, which says who makes its pictures and how far."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nst.errors import NstError
from nst.yaml.json_text import from_json
from tasks.layout import page_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.root import Root
    from tasks.status import SweepStatus
    from tasks.store import Store

NEWS: Final = "live.js"
"""Name of the file beside a page."""

_LEAST: Final = 1 << 14
"""The news are padded to this many bytes, then to twice as many, and so on: Chromium takes the size of a file, then
opens it, and would run the beginning of a longer one that has just taken its place."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the news say of the run that writes them.

    Attributes:
        run: What the page was written with.
        at: When the news were written, in seconds since 1970; 0 where no run promises to write again soon.
        ended: Whether nothing more will come.
    """

    run: str
    at: float
    ended: bool


def news(run: str, at: float = 0.0, running: str = "", cells: str = "", *, ended: bool = False) -> str:
    """Return the script that an open page runs (`gallery/live.js`).

    Args:
        run: As in `Head`.
        at: Likewise.
        running: JSON of [id of a cell, step, all steps, steps that it has previews of], separated by commas.
        cells: JSON of what became known of cells since the page was written (`gallery.update_of`), likewise.
        ended: As in `Head`.
    """
    head = json.dumps({"run": run, "at": round(at, 1), "ended": ended})
    text = f"nstLive({head},[{running}],[{cells}])"
    size = len(text.encode()) + 1
    return text + " " * (max(_LEAST, 1 << (size - 1).bit_length()) - size) + "\n"


def head_of(store: Store, folder: str) -> Head | None:
    """Return who writes the news of a page; None where nobody does, or they are just being replaced.

    Args:
        store: The store of the root.
        folder: Prefix of the page.
    """
    try:
        text = store.get(f"{folder}/{NEWS}").decode()
        head = from_json(text[text.index("(") + 1 : text.index("}") + 1])
        return Head(str(head["run"]), float(head["at"]), bool(head["ended"]))
    except (OSError, NstError, ValueError, KeyError, TypeError):
        return None


def followed(root: Root, sweeps: Sequence[SweepStatus]) -> dict[str, str]:
    """Return the prefixes of the pages of those sweeps that a run makes now and tells of, by the ids of the sweeps."""
    running = {status.sweep_id: page_folder(status.name, status.sweep_id) for status in sweeps if status.running}
    return {sweep_id: folder for sweep_id, folder in running.items() if root.store.head(f"{folder}/{NEWS}")}
