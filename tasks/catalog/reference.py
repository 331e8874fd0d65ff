"""The catalog's columns as Markdown, for the README."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.catalog.schema import SCHEMAS

if TYPE_CHECKING:
    from tasks.catalog.columns import Column


def catalog_reference() -> str:
    """Return a list of columns per table of the catalog; a column of an earlier table is only named."""
    parts = []
    described: dict[Column, str] = {}
    for table in SCHEMAS.values():
        lines = [f"### {table.name}: {table.description}", "", "| column | type | meaning |", "|---|---|---|"]
        repeated: dict[str, list[str]] = {}
        for column in table.columns.values():
            if (first := described.setdefault(column, table.name)) == table.name:
                lines.append(f"| `{column.name}` | {column.type} | {' '.join(column.description.split())} |")
            else:
                repeated.setdefault(first, []).append(f"`{column.name}`")
        lines += [f"\nAnd as in {first}: {', '.join(names)}." for first, names in repeated.items()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
