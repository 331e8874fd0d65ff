"""The catalog's columns as Markdown, for the README."""

from __future__ import annotations

from tasks.catalog.schema import SCHEMAS


def catalog_reference() -> str:
    """Return one table of columns per table of the catalog."""
    parts = []
    for table in SCHEMAS.values():
        lines = [f"### {table.name}: {table.description}", "", "| column | type | meaning |", "|---|---|---|"]
        for column in table.columns.values():
            lines.append(f"| `{column.name}` | {column.type} | {' '.join(column.description.split())} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
