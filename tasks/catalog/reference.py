"""The catalog's columns as Markdown, for the README."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.catalog.schema import SCHEMAS

if TYPE_CHECKING:
    from tasks.catalog.columns import Column


def catalog_reference() -> str:
    """Return one table of columns per table of the catalog; columns that mean the same in an earlier one by name."""
    parts = []
    told: dict[Column, str] = {}
    for table in SCHEMAS.values():
        lines = [f"### {table.name}: {table.description}", "", "| column | type | meaning |", "|---|---|---|"]
        again: dict[str, list[str]] = {}
        for column in table.columns.values():
            if (first := told.setdefault(column, table.name)) == table.name:
                lines.append(f"| `{column.name}` | {column.type} | {' '.join(column.description.split())} |")
            else:
                again.setdefault(first, []).append(f"`{column.name}`")
        lines += [f"\nAnd as in {first}: {', '.join(names)}." for first, names in again.items()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
