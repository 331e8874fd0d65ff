"""Care of a root's catalog: publishing committed rows, merging small files, dropping old commit records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.catalog import TABLES
from tasks.effect import effect
from tasks.root import open_root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.catalog import Catalog


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
def compact_root(uri: str) -> Mapping[str, int]:
    """Publish, merge and clean every table of the root at a URI; return how many files were merged, by table."""
    catalog = open_root(uri, probed=True).catalog
    merged = {}
    for table in TABLES:
        catalog.publish(table)
        merged[table] = catalog.compact(table)
        catalog.gc(table)
    return merged
