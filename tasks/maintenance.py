"""Care of a root's catalog: publishing, merging small files, dropping old records, and the one probe of its store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.catalog import TABLES, Catalog
from tasks.effect import effect
from tasks.store import open_store
from tasks.store.probe import probe

if TYPE_CHECKING:
    from collections.abc import Mapping


def single_publisher(root: str) -> bool:
    """Return whether a root's store lacks create-only writes, so that publishers must take turns.

    Local folders have them (hard links); others are tried out, once per process.
    """
    store = open_store(root)
    return not store.uri.startswith("file://") and not probe(store).create_only


@effect(retries=2, retry_delays_s=(2, 10))
def publish_all(catalog: Catalog) -> int:
    """Publish what is committed in every table and return the number of rows that became visible."""
    return sum(catalog.publish(table) for table in TABLES)


def tidy(catalog: Catalog) -> None:
    """Merge small files where there are many, and drop records that were published long ago."""
    for table in TABLES:
        catalog.compact(table)
        catalog.gc(table)


@effect(retries=2, retry_delays_s=(10, 60))
def compact_root(root: str) -> Mapping[str, int]:
    """Publish, merge and clean every table of a root; return how many files were merged, by table."""
    catalog = Catalog(open_store(root), single_publisher=single_publisher(root))
    merged = {}
    for table in TABLES:
        catalog.publish(table)
        merged[table] = catalog.compact(table)
        catalog.gc(table)
    return merged
