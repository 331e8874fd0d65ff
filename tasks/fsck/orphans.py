"""Objects that no row names: left by batches that were killed, or that two runs computed with other bits.

They are harmless and take room. One may be about to be named, since a picture is written before its row; so they are
removed a day after they were written, by the clock of the store, and while no sweep runs. Each object is looked at
once more just before it is removed: a run that began meanwhile may have written it again.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nst.errors import StorageError
from tasks.fsck.inputs import unnamed_inputs
from tasks.heartbeat import refuse_while_running
from tasks.layout import (
    CLOCK,
    INPUTS,
    MODELS,
    PAGES,
    PICTURES,
    PREVIEWS,
    SAMPLES,
    THUMBNAILS,
    TRAININGS,
    parse_checkpoint_key,
)
from tasks.naming import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tasks.root import Root
    from tasks.store import Stat, Store

    Unnamed = Callable[[Names, Store, list[Stat], float], list[Stat]]
    """Given the names, the store, some objects and the newest time of what is old, returns those that nobody names."""

GRACE_S: Final = 86_400.0
"""For how long an object stays that no row names, seconds."""

_AT_ONCE: Final = 512
"""Objects that are removed between two looks at whether a sweep runs, the most of any kind."""

_ONE_LISTING: Final = 50_000
"""Up to this many pictures objects are listed at once; beyond, in 256 shards."""


@dataclass(frozen=True, slots=True)
class Orphans:
    """The objects of one kind that no row names.

    Attributes:
        kind: What they are called, in the plural.
        number, size: How many there are, and their bytes.
        old, old_size: The same for those that are older than the grace period.
    """

    kind: str
    number: int
    size: int
    old: int
    old_size: int


def find_orphans(root: Root, now: float, grace: float = GRACE_S) -> tuple[Orphans, ...]:
    """Return what no row names, by kind; changes nothing.

    Args:
        root: The root.
        now: Seconds since the epoch.
        grace: For how long an object stays, seconds.
    """
    found: dict[str, list[int]] = {}
    for kind, stats in _each(root, Names(root.catalog), now - grace):
        old = [stat.size for stat in stats if _is_old(stat, now - grace)]
        more = (len(stats), sum(stat.size for stat in stats), len(old), sum(old))
        found[kind.name] = [sum(pair) for pair in zip(found.get(kind.name, [0] * 4), more, strict=True)]
    return tuple(Orphans(name, *counts) for name, counts in found.items() if counts[0])


def remove_orphans(root: Root, grace: float = GRACE_S) -> tuple[int, int]:
    """Remove what no row names and is older than the grace period; return the number of objects and their bytes.

    Raises:
        UserError: A sweep is running below the root; what was removed before is removed.
    """
    store, names = root.store, Names(root.catalog)
    before = store_time(store) - grace

    def remove(stat: Stat) -> int | None:
        found = store.head(stat.key)
        if found is None or not _is_old(found, before):
            return None
        store.delete(stat.key)
        return found.size

    removed: list[int] = []
    for kind, stats in _each(root, names, before):
        old = [stat for stat in stats if _is_old(stat, before)]
        at_once = min(kind.at_once, _AT_ONCE)
        for start in range(0, len(old), at_once):
            refuse_while_running(store)
            names = names.renewed()
            some = kind.unnamed(names, store, old[start : start + at_once], before)
            sizes = root.catalog.ledger("results").each(remove, some)
            removed += [size for size in sizes if size is not None]
    return len(removed), sum(removed)


def store_time(store: Store) -> float:
    """Return the time by the clock that the store dates its objects by, seconds since the epoch.

    Raises:
        StorageError: The store does not date its objects.
    """
    key = f"{CLOCK}{uuid.uuid4().hex}"
    store.put(key, key.encode())
    found = store.head(key)
    store.delete(key)
    if found is None or found.modified is None:
        raise StorageError(f"{store.uri} does not say when objects were written", hint="remove orphans by hand")
    return found.modified


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of objects.

    Attributes:
        name: What they are called, in the plural.
        prefix: Where they lie.
        unnamed: Finds those that nobody names; keys of another form are none of ours.
        has_many: Whether there may be as many as pictures, in folders by two hex digits.
        at_once: How many are removed between two looks at who names them: no more than there are requests in flight
            where a plan may name an old one, whose date then stays.
    """

    name: str
    prefix: str
    unnamed: Unnamed
    has_many: bool = False
    at_once: int = _AT_ONCE


def _each(root: Root, names: Names, before: float) -> Iterator[tuple[_Kind, list[Stat]]]:
    """Yield objects that nobody names, shard by shard: whoever commits a row had written its objects before."""
    for kind in _KINDS:
        shards = [f"{number:02x}" for number in range(256)] if kind.has_many and names.count > _ONE_LISTING else [""]
        for shard in shards:
            listed = root.store.list(f"{kind.prefix}{shard}")
            if listed and (stats := kind.unnamed(names, root.store, listed, before)):
                yield kind, stats


def _by(pattern: str, are_named: Callable[[Names, Sequence[str]], list[bool]]) -> Unnamed:
    """Return what finds the objects without a name, where the first group of a pattern is what a row would name."""

    def unnamed(names: Names, store: Store, stats: list[Stat], before: float) -> list[Stat]:
        del store, before
        known = [(stat, match[1]) for stat in stats if (match := re.fullmatch(pattern, stat.key))]
        are = are_named(names, [name for _, name in known])
        return [stat for (stat, _), is_named in zip(known, are, strict=True) if not is_named]

    return unnamed


def _checkpoints(names: Names, store: Store, stats: list[Stat], before: float) -> list[Stat]:
    """Return the checkpoints of models that are trained: with the others a training goes on."""
    del store, before
    return [stat for stat in stats if (parsed := parse_checkpoint_key(stat.key)) and parsed.model_id in names.models]


def _samples(names: Names, store: Store, stats: list[Stat], before: float) -> list[Stat]:
    """Return the samples of models that are neither trained nor begun: a training may last longer than the grace."""
    begun = {stat.key.split("/")[2] for stat in store.list(TRAININGS)}
    begun |= {stat.key.split("/")[2] for stat in store.list(SAMPLES) if not _is_old(stat, before)}
    kept = begun | names.models
    sheets = (stat for stat in stats if re.fullmatch(r"models/samples/[^/]+/\d{9}\.jpg", stat.key))
    return [stat for stat in sheets if stat.key.split("/")[2] not in kept]


def _heads(names: Names, store: Store, stats: list[Stat], before: float) -> list[Stat]:
    """Return the large inputs beside pages that do not show them; a page that is new may be written again."""
    del names
    folders: dict[str, list[Stat]] = {}
    for stat in stats:
        if re.fullmatch(r"gallery/[^/]+/inputs/[0-9a-f]{32}\.jpg", stat.key):
            folders.setdefault(stat.key.rsplit("/", 2)[0], []).append(stat)
    found: list[Stat] = []
    for folder, heads in folders.items():
        page = store.head(f"{folder}/index.html")
        if page is None or _is_old(page, before):
            text = store.get(page.key) if page else b""
            found += [stat for stat in heads if stat.key.rsplit("/", 1)[1].encode() not in text]
    return found


_KINDS: Final = (
    _Kind("pictures", PICTURES, _by(r"pictures/../([0-9a-f]{64})\.[a-z0-9]+", Names.pictures), has_many=True),
    _Kind(
        "thumbnails (and copies of clips)",
        THUMBNAILS,
        _by(r"thumbs/../([0-9a-f]{64})\.(?:webp|mp4|content\.mp4)", Names.pictures),
        has_many=True,
    ),
    _Kind("previews", PREVIEWS, _by(r"previews/[^/]+/([^/]+/\d+)\.webp", Names.previews), has_many=True),
    _Kind("files of weights", MODELS, _by(r"models/../([0-9a-f]{64})\.safetensors", Names.weights)),
    _Kind("samples of models", SAMPLES, _samples),
    _Kind("checkpoints of trained models", TRAININGS, _checkpoints),
    _Kind("large inputs beside pages", PAGES, _heads),
    _Kind("copies of inputs", INPUTS, unnamed_inputs, at_once=16),
)


def _is_old(stat: Stat, before: float) -> bool:
    return stat.modified is not None and stat.modified <= before
