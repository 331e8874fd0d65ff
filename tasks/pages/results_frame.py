"""The results below a root as a table to compute with: `nst.results`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nst.config import METHOD_CONFIGS
from nst.errors import InputError
from nst.yaml.json_text import from_json
from tasks.catalog import columns
from tasks.catalog.judged import judged
from tasks.catalog.schema import SCHEMAS
from tasks.layout import picture_key, thumbnail_key
from tasks.pages.gallery.settings import places
from tasks.pages.rows import sweep_rows

if TYPE_CHECKING:
    import pandas as pd

    from tasks.catalog import Catalog
    from tasks.root import Root
    from tasks.store import Store

_NULLABLE: Final = {"int64": "Int64", "bool": "boolean"}
"""pandas' types of columns in which values are missing."""


def results_frame(root: Root, sweep_id: str | None = None) -> pd.DataFrame:
    """Return a row for each finished cell, values parsed and typed, judgements joined, empty columns left out.

    Args:
        root: The root.
        sweep_id: Id of a sweep, whose cells come in the order of its manifest. None for all cells, the oldest first.

    Raises:
        InputError: There is nothing below the root.
    """
    catalog = root.catalog
    if sweep_id is not None:
        # A cell under several names of its images has a row for each of them: the first is its own.
        frame = sweep_rows(catalog, sweep_id).drop_duplicates("cell_id", ignore_index=True)
    else:
        frame = _all_rows(catalog)
        if frame.empty and not catalog.keys("sweeps", "sweep_id"):
            raise InputError(f"there are no results below {root.uri}", hint="nst.results(root=...) names another root")
    return _located(_typed(frame.dropna(axis="columns", how="all") if len(frame) else frame), root.store)


def _all_rows(catalog: Catalog) -> pd.DataFrame:
    rows = catalog.read("results").sort_by([("finished_at", "ascending"), ("cell_id", "ascending")])
    frame: pd.DataFrame = judged(catalog, rows).to_pandas()
    return frame


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts of JSON are Python's lists and dictionaries, and whose numbers keep their types."""
    import pandas as pd

    types = {column.name: column.type for column in SCHEMAS["results"].columns.values()}
    for name in frame.columns:
        if name in _structured():
            frame[name] = frame[name].map(_parsed, na_action="ignore")
        elif types.get(str(name)) in _NULLABLE and frame[name].isna().any():
            frame[name] = frame[name].astype(pd.api.types.pandas_dtype(_NULLABLE[types[name]]))
    return frame


def _structured() -> frozenset[str]:
    """Return the columns whose texts may be JSON: settings that are lists or mappings, and lists about the images."""
    settings = {name for method in METHOD_CONFIGS for name, place in places(method).items() if place.structured}
    fixed = (*columns.IDENTITY, *columns.LOSSES, *columns.PICTURE, *columns.JUDGE)
    return frozenset(settings | {column.name for column in fixed if column.description.startswith("JSON ")})


def _parsed(value: Any) -> Any:
    """Return the list or mapping that a text is the JSON of; a word in its place stays, and so does damaged JSON."""
    if not isinstance(value, str) or not value.startswith(("[", "{")):
        return value
    try:
        return from_json(value)
    except ValueError:
        return value


def _located(frame: pd.DataFrame, store: Store) -> pd.DataFrame:
    """Return a table that tells where pictures and thumbnails lie now: the root may be a copy."""
    if not {"picture_digest", "picture_format"} <= set(frame.columns):
        return frame
    digests = frame.picture_digest
    keys = [picture_key(digest, form) for digest, form in zip(digests, frame.picture_format, strict=True)]
    frame["picture_uri"] = [store.url(key) for key in keys]
    frame["thumbnail_uri"] = [store.url(thumbnail_key(digest)) for digest in digests]
    return frame.assign(picture_key=keys)
