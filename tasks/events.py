"""What happens in a run, one event after another, for whoever watches over many machines: `nst run --log-json`.

Events go to the logger `nst.events`, each with its facts; nobody hears them unless a handler listens. They are told and
never read: no behaviour depends on them.

Which events there are, and the facts of each, is the table of `docs/scaling.md`.
"""

from __future__ import annotations

import logging
from typing import Final

LOGGER: Final = logging.getLogger("nst.events")


def event(kind: str, **facts: object) -> None:
    """Tell an event.

    Args:
        kind: What happened.
        facts: Its facts: texts, numbers, truth values, lists of them, None.
    """
    LOGGER.info(kind, extra={"facts": facts})
