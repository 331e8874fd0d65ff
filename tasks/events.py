"""What happens in a run, one event after another, for whoever watches over many machines: `nst run --log-json`.

Events go to the logger `nst.events`, each with its facts; nobody hears them unless a handler listens. They are told and
never read: no behaviour depends on them.

    sweep_begun     sweep, name, participant, cells, to_do, devices
    batch           sweep, batch, participant, device, worker, done, failed, seconds
    taken_over      group, participant, stretch: what a participant of the group of claims held that is dead
    waiting         sweep, runs: nothing is left but what so many others do
    sweep_ended     sweep, name, done, failed, by_others, lost, seconds, stopped
    failed          error: what ended the command
    training_begun  name, participant, models, to_do, devices
    model           model, participant, error: None where it is trained
    training_ended  name, done, failed, by_others, seconds
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
