"""Which objects below a root the rows of its catalog name: what nobody names may be removed.

Removing a sweep and removing what batches left behind both ask here. Names are kept as digests in arrays, 16 bytes
each, so that a million rows need little memory.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from nst.errors import UserError
from nst.yaml.json_text import from_json
from tasks.catalog.keyless import digests_of, without_keys
from tasks.catalog.parquet import from_file, to_arrow
from tasks.catalog.read import snapshot
from tasks.catalog.schema import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    import pyarrow as pa

    from tasks.catalog import Catalog
    from tasks.catalog.keyless import Digests

_TABLES: Final = ("results", "frames", "models", "failures")
"""The tables whose rows name objects."""

_DIGEST: Final = re.compile("[0-9a-f]{64}")


_OF_INPUTS: Final = ("results", "failures", "models")
"""Those that name inputs; a frame does by the row of its cell."""


class Names:
    """What the rows of a catalog name, those that are committed and not yet published among them.

    Args:
        catalog: The catalog of the root.
        without: Ids of cells whose rows do not count.
    """

    def __init__(self, catalog: Catalog, without: AbstractSet[str] = frozenset()) -> None:
        self._catalog, self._without = catalog, without
        self._ledgers = {table: without_keys(catalog.ledger(table)) for table in _TABLES}
        self._version = self._newest()  # before anything is read

    def renewed(self) -> Names:
        """Return the names as they are now: these, if nothing was committed or dropped since they were read."""
        return self if self._newest() == self._version else Names(self._catalog, self._without)

    def pictures(self, digests: Sequence[str]) -> list[bool]:
        """Return which pictures rows name, of cells and of frames, given the digests of the pictures' bytes."""
        return _are_in(digests, self._pictures)

    def previews(self, names: Sequence[str]) -> list[bool]:
        """Return which previews rows name, each given as `<cell_id>/<steps>`."""
        return _are_in(names, self._previews)

    def weights(self, digests: Sequence[str]) -> list[bool]:
        """Return which weights are those of trained models, given the digests of the weights' bytes."""
        return _are_in(digests, self._weights)

    def inputs(self, digests: Sequence[str]) -> list[bool]:
        """Return which inputs rows name, failures among them, given the digests of the inputs' bytes."""
        return _are_in(digests, self._inputs)

    @cached_property
    def models(self) -> AbstractSet[str]:
        """Ids of the models that are trained."""
        return {row["model_id"] for row in self._catalog.read("models", ["model_id"]).to_pylist()}

    @cached_property
    def count(self) -> int:
        """Number of pictures that rows name."""
        return int(self._pictures.size)

    @cached_property
    def _pictures(self) -> Digests:
        return np.union1d(self._column("results", "picture_digest"), self._column("frames", "picture_digest"))

    @cached_property
    def _weights(self) -> Digests:
        return self._column("models", "weights_digest")

    @cached_property
    def _inputs(self) -> Digests:
        def named(rows: pa.Table) -> list[str]:
            texts = (text for column in rows.columns for text in column.unique().to_pylist() if text)
            return [digest for text in texts for digest in _DIGEST.findall(text)]

        return np.unique(np.concatenate([self._read(table, _columns_of_inputs(table), named) for table in _OF_INPUTS]))

    @cached_property
    def _previews(self) -> Digests:
        def named(rows: pa.Table) -> list[str]:
            pairs = zip(rows["cell_id"].to_pylist(), rows["preview_steps"].to_pylist(), strict=True)
            return [f"{cell}/{step}" for cell, steps in pairs if steps for step in from_json(steps)]

        return self._read("results", ("cell_id", "preview_steps"), named)

    def _column(self, table: str, column: str) -> Digests:
        columns = (column, *(["cell_id"] if self._without and table != "models" else []))
        return self._read(table, columns, lambda rows: [value for value in rows[column].to_pylist() if value])

    def _read(self, table: str, columns: Sequence[str], named: Callable[[pa.Table], list[str]]) -> Digests:
        """Return the digests of what the rows of a table name, sorted, each once.

        Raises:
            UserError: A commit record cannot be read: nobody knows what it names.
        """
        ledger = self._ledgers[table]
        waiting = ledger.pending()
        waiting = ledger.sync().new(waiting)
        if len(ledger.readable(waiting)) < len(waiting):
            what = f"commit records of table {table!r} cannot be read, so that nobody knows what they name"
            raise UserError(what, hint="run `nst fsck`; records of a newer nst need that one")

        def parse(rows: pa.Table) -> Digests:
            return np.unique(digests_of(named(self._counted(rows))))

        files, fresh = snapshot(ledger, live=True, parse=lambda file: parse(from_file(file, columns)))
        return np.unique(np.concatenate([*files, parse(to_arrow(ledger.table, fresh).select(list(columns)))]))

    def _counted(self, rows: pa.Table) -> pa.Table:
        if not self._without or "cell_id" not in rows.column_names:
            return rows
        import pyarrow.compute as pc

        return rows.filter(pc.invert(pc.is_in(rows["cell_id"], self._left_out)))

    @cached_property
    def _left_out(self) -> pa.Array:
        import pyarrow as pa

        return pa.array(sorted(self._without), pa.string())

    def _newest(self) -> list[object]:
        """Return what changes whenever rows are committed or dropped."""
        return [(ledger.pending(), ledger.sync().number) for ledger in self._ledgers.values()]


def _columns_of_inputs(table: str) -> list[str]:
    """Return the columns of a table that hold digests of inputs, one each, behind a prefix, or as a list in JSON."""
    columns = SCHEMAS[table].columns.keys() - {"picture_digest"}
    return sorted(name for name in columns if name.endswith(("_digest", "_digests")) or name == "parent_model")


def _are_in(names: Sequence[str], known: Digests) -> list[bool]:
    """Return which names are among the sorted digests."""
    wanted = digests_of(names)
    places = np.searchsorted(known, wanted)
    found: list[bool] = (np.append(known, b"")[places] == wanted).tolist()
    return found
