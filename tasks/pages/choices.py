"""What people choose on pages, kept below the root: blind votes between two pictures, favourites, tags and notes.

Each is a row of its own with a random id, committed by a create-only object (`tasks.catalog`): two people who vote at
once lose nothing, and what a browser sends twice counts once. A vote that is taken back is dropped from its table. Of
the annotations of a cell the latest counts.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from pydantic import model_validator as validator

from nst.errors import UserError
from nst.yaml.json_text import checked_json, from_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from tasks.catalog import Catalog

MOST_BYTES: Final = 2**20
"""Of a request. `choices.js` sends at most `MOST_ROWS` of each kind at once, which is less."""

MOST_ROWS: Final = 40


_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2201, 1, 1, tzinfo=UTC)


def _plausible(moment: datetime) -> datetime:
    if not _EARLIEST <= moment < _LATEST:
        raise ValueError("the year is not plausible")
    return moment


_Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
_CellId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16,64}$")]
_Browser = Annotated[str, StringConstraints(pattern=r"^[a-p]{8}$")]  # no number, whoever reads a CSV
_Pairs = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
_Tag = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f,]+$")]
_Moment = Annotated[AwareDatetime, AfterValidator(_plausible)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    browser: _Browser


class Vote(_Row):
    """A row of the table `votes`."""

    vote_id: _Id
    left_cell_id: _CellId
    right_cell_id: _CellId
    preferred: Literal["left", "right", "tie"]
    shown: Literal["side", "wipe"]
    pairs: _Pairs
    voted_at: _Moment

    @validator(mode="after")
    def _of_two(self) -> Self:
        if self.left_cell_id == self.right_cell_id:
            raise ValueError("a cell cannot be compared with itself")
        return self


class Annotation(_Row):
    """A row of the table `annotations`."""

    annotation_id: _Id
    cell_id: _CellId
    favourite: bool
    tags: Annotated[tuple[_Tag, ...], Field(max_length=50)]
    note: Annotated[str, StringConstraints(max_length=4000)]
    annotated_at: _Moment


class Said(BaseModel):
    """What a page sends.

    Attributes:
        votes: Votes that were cast.
        annotations: Annotations that were written.
        withdrawn: Ids of votes that are taken back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    votes: Annotated[tuple[Vote, ...], Field(max_length=MOST_ROWS)] = ()
    annotations: Annotated[tuple[Annotation, ...], Field(max_length=MOST_ROWS)] = ()
    withdrawn: Annotated[tuple[_Id, ...], Field(max_length=MOST_ROWS)] = ()


_SAID: Final = TypeAdapter(Said)


def read_said(body: bytes) -> Said:
    """Return what a page sent.

    Raises:
        UserError: It is nothing that a page sends.
    """
    try:
        return checked_json(_SAID, body)
    except ValueError as error:
        raise UserError(f"the request is no list of votes and annotations: {error}") from error


def root_id(uri: str) -> str:
    """Return what tells a root from others that are served at the same address, 16 hexadecimal digits.

    Browsers keep what they have not sent yet under this id. It is of the place and not of what lies there, since a copy
    of a root is another one; of a folder it is of this machine, since an address may be forwarded from several.
    """
    if uri.startswith("file://"):
        uri = f"{socket.gethostname()} {Path(uri.removeprefix('file://')).resolve()}"
    return hashlib.sha256(uri.encode("utf-8", "surrogateescape")).hexdigest()[:16]


class Choices:
    """The votes and annotations of a root, for a server of pages; its methods may be called by any thread.

    Args:
        catalog: The catalog of the root.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._waiting: set[str] = set()
        self._searched = False
        self.root_id = root_id(catalog.store.uri)

    def take(self, said: Said) -> None:
        """Commit what a page sent.

        Raises:
            UserError: The store refuses, as a root that may not be written to.
            StorageError: The store did not answer; the page sends it again.
        """
        votes = [vote.model_dump() for vote in said.votes]
        notes = [{**note.model_dump(), "tags": json.dumps(note.tags, ensure_ascii=False)} for note in said.annotations]
        for table, key, rows in (("votes", "vote_id", votes), ("annotations", "annotation_id", notes)):
            if rows:
                self._catalog.commit(table, "pages", rows[0][key], rows)
                with self._lock:
                    self._waiting.add(table)
        if said.withdrawn:
            self._catalog.drop("votes", "vote_id", set(said.withdrawn))

    def publish(self) -> None:
        """Write what was committed since the last call to the tables that plain readers see.

        The first call also finds what a server left that was killed.

        Raises:
            UserError, StorageError: The store refuses or did not answer; what is committed stays, and the next call
                publishes it.
        """
        if not self._searched:
            left = {table for table in ("votes", "annotations") if self._catalog.ledger(table).pending()}
            with self._lock:
                self._waiting |= left
            self._searched = True
        with self._lock:
            waiting = sorted(self._waiting)
        for table in waiting:
            with self._lock:
                self._waiting.discard(table)
            try:
                self._catalog.publish(table)
            except Exception:
                with self._lock:
                    self._waiting.add(table)
                raise

    def all(self) -> bytes:
        """Return the id of the root, every vote and the annotations that count, as JSON."""
        votes = self._catalog.read("votes").to_pylist()
        notes = [{**row, "tags": from_json(row["tags"] or "[]")} for row in latest(self._catalog)]
        found = {"root": self.root_id, "votes": votes, "annotations": notes}
        return json.dumps(found, default=datetime.isoformat).encode()


def latest(catalog: Catalog) -> Iterable[Mapping[str, Any]]:
    """Return the latest annotation of each cell that has one; of two of one moment the same for whoever asks."""
    rows = catalog.read("annotations").to_pylist()
    rows.sort(key=lambda row: (row["annotated_at"], row["annotation_id"]))
    return {row["cell_id"]: row for row in rows}.values()
