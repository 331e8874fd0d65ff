"""The catalog's columns as Markdown, for the README."""

from __future__ import annotations

from tasks.catalog.schema import SCHEMAS


def catalog_reference() -> str:
    """Return one table of columns per table of the catalog."""
    parts = []
    for table in SCHEMAS.values():
        lines = [f"### {table.name}: {table.description}", "", "| column | type | meaning |", "|---|---|---|"]
        lines += [f"| `{c.name}` | {c.type} | {' '.join(c.description.split())} |" for c in table.columns.values()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
