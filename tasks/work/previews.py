"""Stores small pictures of a batch while it is computed: by a thread, which the computation never waits for.

A preview is a convenience. If the store is too slow for it, it is left out; if the store refuses one, the batch has no
further previews; the cells go on in either case. Their rows say which previews were stored, and a batch that was killed
leaves files that the next attempt writes again.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from nst.pictures.images import thumbnail
from nst.workspace import Onlooker
from tasks.layout import preview_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from tasks.store import Store

    Tell = Callable[[Mapping[str, int]], None]
    """Called with the steps of the cells whose previews were just stored, by their ids."""

LOGGER: Final = logging.getLogger("nst.previews")

_MOST_WAITING: Final = 4
"""Looks at a batch that may wait to be stored; what comes meanwhile is left out."""


class StoredPreviews:
    """Stores the previews of one batch.

    Args:
        store: Where they go.
        every: Steps between two of them (`Onlooker.every`).
        tell: Told of what was stored, by another thread.
    """

    def __init__(self, store: Store, every: int | None, tell: Tell | None = None) -> None:
        self.onlooker = Onlooker(every, self._take)
        self._store, self._tell = store, tell
        self._steps: defaultdict[str, list[int]] = defaultdict(list)
        self._has_failed = False
        self._thread = ThreadPoolExecutor(1, "previews")
        self._waiting = 0

    def ended(self) -> None:
        """Wait until everything that was shown is stored."""
        self._thread.shutdown()

    def columns(self, cell_id: str, steps: int) -> dict[str, Any]:
        """Return the column about the previews of a cell, given how many steps it took; after `ended`."""
        found = sorted({step for step in self._steps[cell_id] if step < steps})
        return {"preview_steps": f"[{', '.join(map(str, found))}]" if found else None}

    def _take(self, taken: Mapping[str, int], pictures: Callable[[], np.ndarray]) -> None:
        if self._waiting < _MOST_WAITING and not self._has_failed:
            self._waiting += 1
            self._thread.submit(self._keep, taken, pictures)

    def _keep(self, taken: Mapping[str, int], pictures: Callable[[], np.ndarray]) -> None:
        try:
            if self._has_failed:
                return
            for (cell_id, step), picture in zip(taken.items(), pictures(), strict=True):
                self._store.put(preview_key(cell_id, step), thumbnail(picture))
                self._steps[cell_id].append(step)
            if self._tell:
                self._tell(taken)
        except Exception as error:  # noqa: BLE001  whatever it is, the pictures go on
            self._has_failed = True
            LOGGER.warning("the batch has no further previews: %s", error)
        finally:
            self._waiting -= 1
