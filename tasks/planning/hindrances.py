"""Why machines cannot take part in what is open: each leaves a note below the root, which `nst status` tells.

The problem: a machine that lacks an input says so in its own log, which nobody reads who waits for the sweep.

The rule: one small object for each plan and machine, written again whenever the machine looks in vain, and removed when
it can take part. All of a plan's are removed with the plan, and when it is submitted anew. Nobody who takes part reads
them; one that is written later than that is left behind and does no harm.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pydantic import AwareDatetime, TypeAdapter

from nst.errors import StorageError, UserError
from nst.yaml.json_text import checked_json

if TYPE_CHECKING:
    from tasks.store import Store

_PREFIX: Final = "state/hindrances/"


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why a machine cannot take part.

    Attributes:
        host: Name of the machine.
        error: What is wrong and what helps, without credentials.
        at: When it looked last, by its own clock.
    """

    host: str
    error: str
    at: AwareDatetime


_HINDRANCE: Final = TypeAdapter(Hindrance)


def note_hindrance(store: Store, identity: str, error: UserError) -> None:
    """Note why this machine cannot take part in a sweep or a training, unless the store fails."""
    found = Hindrance(socket.gethostname(), str(error), datetime.now(UTC))
    with contextlib.suppress(StorageError, UserError):
        store.put(_key_of_this_machine(identity), _HINDRANCE.dump_json(found))


def overcome_hindrance(store: Store, identity: str) -> None:
    """Remove the note of this machine, which can take part, unless the store fails."""
    with contextlib.suppress(StorageError, UserError):
        store.delete(_key_of_this_machine(identity))


def hindrances(store: Store, identity: str) -> list[Hindrance]:
    """Return why machines cannot take part in an open sweep or training, the newest first.

    Raises:
        StorageError: The store did not answer.
    """
    found = []
    for key in hindrance_keys(store, identity):
        with contextlib.suppress(FileNotFoundError, ValueError):  # it was overcome, or no machine wrote this
            found.append(checked_json(_HINDRANCE, store.get(key)))
    return sorted(found, key=lambda each: each.at, reverse=True)


def hindrance_keys(store: Store, identity: str) -> list[str]:
    """Return the keys of the notes about a sweep or training."""
    return [stat.key for stat in store.list(f"{_PREFIX}{identity}/")]


def forget_hindrances(store: Store, identity: str) -> None:
    """Remove all notes about a sweep or training, unless the store fails."""
    with contextlib.suppress(StorageError, UserError):
        for key in hindrance_keys(store, identity):
            store.delete(key)


def _key_of_this_machine(identity: str) -> str:
    """Return the key of the note of this machine, whose name may have any characters."""
    machine = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:16]
    return f"{_PREFIX}{identity}/{machine}.json"
