"""Where the catalog's objects lie below a root, and which names are safe to use in keys.

catalog/<table>/month=YYYY-MM/seg-<number>-<hash>.parquet   immutable rows, readable with plain pandas
state/<table>/wal/<group>/<record>.json                     one commit record per batch
state/<table>/log/<number>.json                             one claim per change of the table
state/<table>/checkpoint/<number>.z                         the log folded up to a number: derived, droppable
state/<table>/lease/<ticket>.json                           only on stores without create-only writes
"""

from __future__ import annotations

import re
from typing import Final

_ANCHOR: Final = re.compile(r"catalog/[a-z]+/month=0000-00/0-schema-([0-9]{4})\.[a-z]+")
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,199}")


def files(table: str) -> str:
    """Return the prefix of the table's Parquet files."""
    return f"catalog/{table}/"


def anchors(table: str) -> str:
    """Return the prefix of the zero-row files that sort first and hold the newest schema."""
    return f"catalog/{table}/month=0000-00/"


def anchor(table: str, number: int, suffix: str) -> str:
    """Return the key of an anchor; numbers count down, so that each newer anchor sorts before the older ones."""
    return f"{anchors(table)}0-schema-{number:04d}{suffix}"


def anchor_number(key: str) -> int | None:
    """Return the number of the anchor that lies under a key, None if the key is that of no anchor."""
    match = _ANCHOR.fullmatch(key)
    return int(match[1]) if match else None


def segment(table: str, month: str, op: str, number: int, *, digest: str, suffix: str) -> str:
    """Return the key of the file that claim `number` publishes; numbers are never reused, and so neither are keys."""
    stem = "seg" if op == "add" else op
    return f"catalog/{table}/month={month}/{stem}-{number:08d}-{digest[:8]}{suffix}"


def records(table: str) -> str:
    """Return the prefix of the commit records."""
    return f"state/{table}/wal/"


def record(table: str, name: str) -> str:
    """Return the key of the commit record `<group>/<record id>`."""
    return f"state/{table}/wal/{name}.json"


def record_name(table: str, key: str) -> str:
    """Return `<group>/<record id>` of a commit record's key."""
    return key.removeprefix(records(table)).removesuffix(".json")


def claims(table: str) -> str:
    """Return the prefix of the claim log."""
    return f"state/{table}/log/"


def claim(table: str, number: int) -> str:
    """Return the key of a claim."""
    return f"state/{table}/log/{number:08d}.json"


def claim_number(table: str, key: str) -> int | None:
    """Return the number of the claim that lies under a key, None if the key is that of no claim."""
    name = key.removeprefix(claims(table)).removesuffix(".json")
    return int(name) if name.isascii() and name.isdecimal() and key == claim(table, int(name)) else None


def checkpoints(table: str) -> str:
    """Return the prefix of the log's checkpoints."""
    return f"state/{table}/checkpoint/"


def checkpoint(table: str, number: int) -> str:
    """Return the key of the checkpoint that folds the claims below `number`."""
    return f"state/{table}/checkpoint/{number:08d}.z"


def tickets(table: str) -> str:
    """Return the prefix of the publishers' tickets."""
    return f"state/{table}/lease/"


def safe(part: str) -> str:
    """Return `part` if it may be part of an object's key.

    Raises:
        ValueError: It is empty, longer than 200 characters, or holds anything but letters, digits and `._=+-`.
    """
    if not _SAFE.fullmatch(part):
        raise ValueError(f"{part!r} cannot be part of an object's key")
    return part
