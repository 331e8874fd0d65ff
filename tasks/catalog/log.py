"""The claim log: an append-only list of create-only objects that alone decides which rows are published.

Claim n publishes commit records (`add`), replaces files by one with the same rows (`compact`), or replaces them by one
without some of their rows (`drop`). It pins everything that its file depends on (records with digests, rows left out,
month, inputs), so that the file is a pure function of the claim and any process may write it again. Numbers are never
reused: the process that creates log object n decides change n.
"""

from __future__ import annotations

import hashlib
import json
import uuid
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, FiniteFloat, TypeAdapter

from nst.errors import UserError
from nst.yaml.json_text import checked_json
from tasks.catalog import layout
from tasks.store.contract import check_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_Count = Annotated[int, Field(ge=0)]
_Key = Annotated[str, AfterValidator(check_key)]
_Month = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")]
_File = Annotated[
    str, Field(pattern=r"^catalog/[a-z]+/month=[0-9]{4}-[0-9]{2}/(seg|compact|drop)-[0-9]{8,}-[0-9a-f]{8}\.[a-z]+$")
]


@dataclass(frozen=True, slots=True)
class Claim:
    """One decided change of a table.

    Attributes:
        number: Position in the log, from 0.
        op: `add` publishes `records`; `compact` replaces `inputs`; `drop` does so too, and leaves rows out.
        month: Partition of its file, YYYY-MM, by the clock of the publisher that made the claim.
        at: When it was made, seconds since the epoch.
        rows: Number of rows of its file; 0 means that the claim has no file.
        records: (name, digest) of the commit records, in the order in which their rows count.
        skip: Positions of a record's rows that earlier claims or records published already.
        keys: Keys that this claim publishes, for tables that have one.
        inputs: Files that a compaction or a drop replaces.
        column: Column by which a drop chooses the rows that it leaves out; the table's key if it has one.
        values: The values of that column in those rows.
        groups: Groups whose commit records begin anew after a drop, under names that the log does not know.
        digest: SHA-256 of the claim's bytes, part of its file's name.
    """

    number: int
    op: Literal["add", "compact", "drop"]
    month: str
    at: float
    rows: int
    records: tuple[tuple[str, str], ...] = ()
    skip: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    column: str = ""
    values: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    digest: str = ""

    def file(self, table: str, suffix: str) -> str | None:
        """Return the key of the file that the claim publishes, or None if it publishes no row."""
        if not self.rows:
            return None
        return layout.segment(table, self.month, self.op, self.number, digest=self.digest, suffix=suffix)


def encode(claim: Claim) -> tuple[Claim, bytes]:
    """Return the claim with its digest, and its bytes, which differ from those of every other claim."""
    # A version that does not know drops must not take one for a compaction: it finds no `rows`, and stops.
    rows = "rows_left" if claim.op == "drop" else "rows"
    body: dict[str, Any] = {"op": claim.op, "month": claim.month, "at": claim.at, rows: claim.rows}
    body |= {"claim": uuid.uuid4().hex}  # so that equal claims of two processes are not taken for one
    if claim.op == "add":
        body |= {"records": claim.records, "skip": claim.skip, "keys": claim.keys}
    else:
        body |= {"inputs": claim.inputs}
    if claim.op == "drop":
        body |= {"column": claim.column, "values": claim.values, "groups": claim.groups}
    data = json.dumps(body, separators=(",", ":")).encode()
    return decode(claim.number, data), data


def decode(number: int, data: bytes) -> Claim:
    """Return the claim that log object `number` holds.

    Raises:
        ValueError: The bytes are not a claim.
        UserError: Only a newer nst knows this kind of claim.
    """
    try:
        op = checked_json(_STORED_OP, data).op
        if op not in {"add", "compact", "drop"}:
            raise UserError(f"claim {number} was written by a newer nst: {op!r} is unknown", hint="upgrade nst")
        body = checked_json(_STORED_CLAIM, data)
        rows = body.rows_left if body.op == "drop" else body.rows
        if rows is None:
            raise ValueError("it does not say how many rows there are")  # noqa: TRY301
    except ValueError as error:
        raise ValueError(f"it is no claim: {error}") from error
    return Claim(
        number=number,
        op=body.op,
        month=body.month,
        at=body.at,
        rows=rows,
        records=body.records,
        skip=body.skip,
        keys=body.keys,
        inputs=body.inputs,
        column=body.column,
        values=body.values,
        groups=body.groups,
        digest=hashlib.sha256(data).hexdigest(),
    )


@dataclass(frozen=True, slots=True)
class _StoredOp:
    """The part of a claim that every version of nst understands."""

    op: str


@dataclass(frozen=True, slots=True)
class _StoredClaim:
    """A claim as its object holds it; the attributes are those of `Claim`."""

    op: Literal["add", "compact", "drop"]
    month: _Month
    at: FiniteFloat
    rows: _Count | None = None
    rows_left: _Count | None = None
    records: tuple[tuple[_Key, str], ...] = ()
    skip: dict[str, tuple[int, ...]] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    inputs: tuple[_Key, ...] = ()
    column: str = ""
    values: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _StoredState:
    """A checkpoint as its object holds it; the attributes are those of `State`."""

    number: _Count
    live: dict[_File, _Count]
    dead: set[str]
    records: dict[str, _Count]
    keys: set[str]
    times: list[FiniteFloat]
    editions: dict[str, _Count] = field(default_factory=dict)


_STORED_OP: Final = TypeAdapter(_StoredOp)
_STORED_CLAIM: Final = TypeAdapter(_StoredClaim)
_STORED_STATE: Final = TypeAdapter(_StoredState)


@dataclass(slots=True)
class State:
    """The log folded: what is published after the first `number` claims.

    Attributes:
        number: Claims folded, which is also the number of the next claim.
        live: Files that together hold every published row once, with their row counts.
        dead: Files that were replaced; never live again.
        records: Claimed commit records with the number of their claim; never forgotten, since a late request of a dead
            process may write a record again after it was cleared away.
        keys: Every published key.
        editions: How often the commit records of a group began anew.
        times: When each claim was made, seconds since the epoch.
    """

    number: int = 0
    live: dict[str, int] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    records: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    editions: dict[str, int] = field(default_factory=dict)
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
        self.keys.difference_update(claim.values)  # of a table without a key no key is known
        for group in claim.groups:
            self.editions[group] = self.editions.get(group, 0) + 1
        self.times.append(claim.at)
        self.number += 1

    def new(self, names: Iterable[str]) -> list[str]:
        """Return the commit records that belong to no claim yet."""
        return [name for name in names if name not in self.records]

    def record_name(self, group: str, record_id: str) -> str:
        """Return the name of a group's commit record, another one each time that the group's records began anew."""
        edition = self.editions.get(group, 0)
        return f"{group}/{record_id}.{edition}" if edition else f"{group}/{record_id}"

    def pack(self) -> bytes:
        """Return the state as a checkpoint: compressed JSON, equal for equal states."""
        body = {
            "number": self.number,
            "live": dict(sorted(self.live.items())),
            "dead": sorted(self.dead),
            "records": dict(sorted(self.records.items())),
            "keys": sorted(self.keys),
            "editions": dict(sorted(self.editions.items())),
            "times": self.times,
        }
        return zlib.compress(json.dumps(body, separators=(",", ":")).encode(), 1)

    @classmethod
    def unpack(cls, data: bytes) -> State:
        """Return the state that a checkpoint holds.

        Raises:
            ValueError: The bytes are not a checkpoint.
        """
        try:
            saved = checked_json(_STORED_STATE, zlib.decompress(data))
            if len(saved.times) != saved.number or max(saved.records.values(), default=-1) >= saved.number:
                raise ValueError("it names claims above its own number")  # noqa: TRY301
        except (ValueError, zlib.error) as error:
            raise ValueError(f"it is no checkpoint: {error}") from error
        return cls(
            saved.number, saved.live, saved.dead, saved.records, saved.keys, editions=saved.editions, times=saved.times
        )
