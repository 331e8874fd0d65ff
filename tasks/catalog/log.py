"""The claim log: an append-only list of create-only objects that alone decides which rows are published.

Claim n either publishes commit records (`add`) or replaces files by one (`compact`). It pins everything that its file
depends on (records with digests, rows left out, month, inputs), so that the file is a pure function of the claim and
any process may write it again. Numbers are never reused: the process that creates log object n decides change n.
"""

from __future__ import annotations

import hashlib
import json
import uuid
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tasks.catalog import layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Claim:
    """One decided change of a table.

    Attributes:
        number: Position in the log, from 0.
        op: `add` publishes `records`; `compact` replaces `inputs`.
        month: Partition of its file, YYYY-MM, by the clock of the publisher that made the claim.
        at: When it was made, seconds since the epoch.
        rows: Number of rows of its file; 0 means that the claim has no file.
        records: (name, digest) of the commit records, in the order in which their rows count.
        skip: Positions of a record's rows that earlier claims or records published already.
        keys: Keys that this claim publishes, for tables that have one.
        inputs: Files that a compaction replaces.
        digest: SHA-256 of the claim's bytes, part of its file's name.
    """

    number: int
    op: Literal["add", "compact"]
    month: str
    at: float
    rows: int
    records: tuple[tuple[str, str], ...] = ()
    skip: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    digest: str = ""

    def file(self, table: str, suffix: str) -> str | None:
        """Return the key of the file that the claim publishes, or None if it publishes no row."""
        if not self.rows:
            return None
        return layout.segment(table, self.month, self.op, self.number, digest=self.digest, suffix=suffix)


def encode(claim: Claim) -> tuple[Claim, bytes]:
    """Return the claim with its digest, and its bytes, which differ from those of every other claim."""
    body: dict[str, Any] = {"op": claim.op, "month": claim.month, "at": claim.at, "rows": claim.rows}
    body |= {"claim": uuid.uuid4().hex}  # so that equal claims of two processes are not taken for one
    if claim.op == "add":
        body |= {"records": claim.records, "skip": claim.skip, "keys": claim.keys}
    else:
        body |= {"inputs": claim.inputs}
    data = json.dumps(body, separators=(",", ":")).encode()
    return decode(claim.number, data), data


def decode(number: int, data: bytes) -> Claim:
    """Return the claim that log object `number` holds."""
    body = json.loads(data)
    return Claim(
        number=number,
        op=body["op"],
        month=body["month"],
        at=body["at"],
        rows=body["rows"],
        records=tuple((name, digest) for name, digest in body.get("records", ())),
        skip={name: tuple(rows) for name, rows in body.get("skip", {}).items()},
        keys=tuple(body.get("keys", ())),
        inputs=tuple(body.get("inputs", ())),
        digest=hashlib.sha256(data).hexdigest(),
    )


@dataclass(slots=True)
class State:
    """The log folded: what is published after the first `number` claims.

    Attributes:
        number: Claims folded, which is also the number of the next claim.
        live: Files that together hold every published row once, with their row counts.
        dead: Files replaced by compactions; never live again.
        records: Claimed commit records with the number of their claim; never forgotten, since a late request of a dead
            process may write a record again after it was cleared away.
        keys: Every published key.
        times: When each claim was made, seconds since the epoch.
    """

    number: int = 0
    live: dict[str, int] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    records: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    times: list[float] = field(default_factory=list)

    def apply(self, claim: Claim, table: str, suffix: str) -> None:
        """Fold the next claim into the state."""
        assert claim.number == self.number, f"claim {claim.number} after {self.number}"
        for name in claim.inputs:
            self.live.pop(name, None)
            self.dead.add(name)
        file = claim.file(table, suffix)
        if file is not None:
            self.live[file] = claim.rows
        self.records.update((name, claim.number) for name, _ in claim.records)
        self.keys.update(claim.keys)
        self.times.append(claim.at)
        self.number += 1

    def new(self, names: Iterable[str]) -> list[str]:
        """Return the commit records that belong to no claim yet."""
        return [name for name in names if name not in self.records]

    def pack(self) -> bytes:
        """Return the state as a checkpoint: compressed JSON, equal for equal states."""
        body = {
            "number": self.number,
            "live": dict(sorted(self.live.items())),
            "dead": sorted(self.dead),
            "records": dict(sorted(self.records.items())),
            "keys": sorted(self.keys),
            "times": self.times,
        }
        return zlib.compress(json.dumps(body, separators=(",", ":")).encode(), 1)

    @classmethod
    def unpack(cls, data: bytes) -> State:
        """Return the state that a checkpoint holds."""
        body = json.loads(zlib.decompress(data))
        return cls(
            number=body["number"],
            live=body["live"],
            dead=set(body["dead"]),
            records=body["records"],
            keys=set(body["keys"]),
            times=body["times"],
        )
