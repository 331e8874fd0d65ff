"""The reference of the catalog as Markdown (docs/catalog.md), generated from the columns of its tables."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from nst.config import METHOD_CONFIGS
from nst.config.judgement import NEUTRAL
from nst.config.training import TRAINING_CONFIGS
from nst.manifest.markdown import Section, link, page, table
from nst.manifest.reference import sections_of
from tasks.catalog import columns, model_columns, parameters
from tasks.catalog.schema import SCHEMAS, judgements, metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.catalog.columns import Column
    from tasks.catalog.schema import Table

_MANIFEST: Final = "manifest.md"
_INTRODUCTION: Final = f"""
Each table of the catalog is a folder of Parquet files, `<root>/catalog/<table>/`, which pandas, DuckDB and Polars read
as they are. A column is null where it does not apply. At the end of a run, once an hour of a long one and at night
small files are merged. A reader that lists the folder in that moment may see a row twice, which
`drop_duplicates("cell_id")` mends, or find a file missing that was replaced, and has to read again; it never misses a
row. A setting of a method is a column under its path, with `_` for the dots; its meaning stands in the
[reference of the manifest]({_MANIFEST}). What "orders 43 of 48 pairs" and "descriptive" mean stands in
[scores.md](scores.md). This page is generated from the code: `nst schema --catalog` prints it.
"""
_SETTINGS: Final = "settings"
_ABOUT_SETTINGS: Final = "Mappings and lists are compact JSON. The links lead to what a setting means."


def catalog_reference() -> str:
    """Return docs/catalog.md: every column with its type and meaning, each described once."""
    homes: dict[Column, str] = {}
    return page("The catalog", _INTRODUCTION, [_section(item, homes) for item in SCHEMAS.values()])


def _section(item: Table, homes: dict[Column, str]) -> Section:
    """Return the section of a table, its columns in groups.

    Args:
        item: The table.
        homes: By column the title of the section that describes it; gains the columns of this table.
    """
    titles = {column: f"{item.name}: {title}" for title, group in _groups(item.name) for column in group}
    here: dict[str, list[Column]] = defaultdict(list)
    elsewhere: dict[str, list[Column]] = defaultdict(list)
    for column in item.columns.values():
        if column in homes:
            elsewhere[homes[column]].append(column)
        else:
            here[titles.get(column, item.name)].append(column)
    also = []
    for home, found in elsewhere.items():
        whole = len(found) == list(homes.values()).count(home)
        also.append(f"And {'the columns' if whole else _names(found)} of {link(home)}.")
    homes.update({column: title for title, group in here.items() for column in group})
    configs = TRAINING_CONFIGS if item.name == "models" else METHOD_CONFIGS
    own = here.pop(item.name, [])
    parts = [
        Section(title, _settings(group, configs) if title.endswith(_SETTINGS) else (_described(group),))
        for title, group in here.items()
    ]
    body = (f"{item.description.capitalize()}.", *([_described(own)] if own else []), *also)
    return Section(item.name, body, tuple(parts))


def _groups(table_name: str) -> tuple[tuple[str, Iterable[Column]], ...]:
    """Return the groups of a table's columns with their titles; columns in no group stand at the table itself."""
    if table_name == "results":
        return (
            ("identity", columns.IDENTITY),
            (_SETTINGS, parameters.columns()),
            ("losses", columns.LOSSES),
            ("metrics", metrics()),
            ("run", columns.RUN),
            ("workplace", columns.WORKPLACE),
            ("picture", columns.PICTURE),
            ("judgement of the run", (*judgements(NEUTRAL), *columns.JUDGE)),
        )
    if table_name == "models":
        return (
            (_SETTINGS, model_columns.settings()),
            ("losses", model_columns.OUTCOME),
            ("run", model_columns.RUN),
            ("files", model_columns.FILES),
        )
    return ()


def _described(group: Iterable[Column]) -> str:
    rows = ((f"`{column.name}`", column.type, column.description) for column in group)
    return table(("column", "type", "meaning"), rows)


def _settings(group: Iterable[Column], configs: Iterable[str]) -> tuple[str, ...]:
    """Return the table of settings: for their meaning it leads to the reference of the manifest."""
    sections = {path.removesuffix(".name").replace(".", "_"): titles for path, titles in sections_of(configs).items()}
    rows = (
        (f"`{column.name}`", column.type, ", ".join(link(title, page=_MANIFEST) for title in sections[column.name]))
        for column in group
    )
    return _ABOUT_SETTINGS, table(("column", "type", "setting, described under"), rows)


def _names(group: Iterable[Column]) -> str:
    return ", ".join(f"`{column.name}`" for column in group)
