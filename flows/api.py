"""What `import nst` offers to notebooks and programs: run and plan manifests, read results, look at pictures.

Everything here does what a command does, and returns values where the command prints. What the user must change is
raised as `nst.errors.UserError` (of a manifest `ManifestError`, with every fault at its place; of an input
`InputError`), what may pass by itself as `TransientError`; nothing here leaves the process.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

from flows import arguments
from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from PIL import Image

    from flows.order.sweep import SweepOrder
    from flows.order.training import TrainingOrder
    from tasks.pages.picture_table import PictureTable
    from tasks.root import Root

PathLike = str | os.PathLike[str]
"""A path or a URI."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a manifest would run; printed, it is the table of `nst plan`.

    Attributes:
        name: Name of the manifest.
        root: URI of the root.
        total: Number of cells, of a training of models.
        to_do: Those that are not done yet.
        seconds: Estimated duration on one device, None where nothing like it was ever measured.
        details: What `nst plan --json` prints.
    """

    name: str
    root: str
    total: int
    to_do: int
    seconds: float | None
    details: dict[str, Any] = field(repr=False)
    table: str = field(repr=False)

    def __str__(self) -> str:
        return self.table


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a manifest that was run.

    Attributes:
        name: Name of the manifest.
        root: URI of the root.
        sweep_id: Id of the sweep, "" of a training.
        total: Number of cells, of a training of models.
        done: Those that this run made.
        done_before: Those that were there already.
        failed: Those that this run tried in vain.
        failures: Why, a line for each of `failed`; the table `failures` below the root says more.
        seconds: Wall-clock seconds.
        page: URI of the page, "" of a training.
        models: Ids of the models of a training that are trained now; () of a sweep.
    """

    name: str
    root: str
    sweep_id: str
    total: int
    done: int
    done_before: int
    failed: int
    failures: tuple[str, ...]
    seconds: float
    page: str
    models: tuple[str, ...] = ()

    def results(self) -> pd.DataFrame:
        """Return the results of the sweep, as `nst.results` does.

        Raises:
            InputError: It was a training.
        """
        if not self.sweep_id:
            raise InputError("a training has models and no results", hint="they are rows of the table `models`")
        return results(self.root, self.sweep_id)


def run(
    manifest: PathLike | Mapping[str, Any],
    *,
    root: PathLike | None = None,
    inputs: PathLike = "",
    devices: str | Sequence[str] = (),
    overrides: str | Sequence[str] = (),
    only: PathLike | Iterable[str] | None = None,
    confirmed: bool = False,
    progress: bool = True,
) -> Run:
    """Run what of a manifest is not done yet, in this process and its device workers, without Prefect.

    May be called any number of times, in any thread, and while an event loop runs, as in a notebook. Interrupting it
    (Control-C, or "interrupt" in a notebook) publishes what is done and raises `nst.errors.Stopped`; calling it again
    does the rest.

    Args:
        manifest: Path or URI of a manifest, or what its YAML says as a dictionary, whose relative paths are relative to
            the working folder. Both give the same cells.
        root: Folder or URI of pictures and catalog; by default NST_ROOT of the environment, or else `out`.
        inputs: Folder or URI for relative inputs; by default the manifest's own folder.
        devices: Names such as "cpu" or "cuda:0"; by default all GPUs, or else the CPU.
        overrides: Changes to the manifest, "method.size=256" each.
        only: The cells that alone are run: their ids, or a path or URI of a list of them, such as the page exports. The
            sweep is the whole one all the same, and running it again without `only` does the rest.
        confirmed: Whether an estimate above the manifest's `budget.hours` is accepted.
        progress: Whether a bar is shown: in a notebook below its cell, otherwise on the standard error.

    Returns:
        What became of it. Cells that fail raise nothing: `failed` counts them, and `failures` says why.

    Raises:
        UserError: The manifest, an input, a device or the root cannot be used; nothing was started.
        TransientError: The store did not answer; what is committed is kept.
        Stopped: It was interrupted.
    """
    from flows.here import run_inline
    from flows.progress import progress_of

    opened = _root(root, probed=True)
    order = _order(manifest, opened, inputs, devices, overrides, only=only, confirmed=confirmed)
    with progress_of(order.noun, shown=progress) as bar:
        summary = run_inline(order, bar.show, bar.show_step, lambda _line: None)
    return Run(
        name=summary.name,
        root=opened.uri,
        sweep_id=getattr(summary, "sweep_id", ""),
        total=summary.total,
        done=summary.done,
        done_before=summary.done_before,
        failed=summary.failed,
        failures=tuple(f"{failure.cell_id[:8]}: {failure}" for failure in summary.failures),
        seconds=summary.seconds,
        page=getattr(summary, "gallery", ""),
        models=tuple(getattr(summary, "models", ())),
    )


def plan(
    manifest: PathLike | Mapping[str, Any],
    *,
    root: PathLike | None = None,
    inputs: PathLike = "",
    overrides: str | Sequence[str] = (),
    only: PathLike | Iterable[str] | None = None,
) -> Planned:
    """Plan a manifest: what it would run, what is done already, how long it takes. Loads no torch; writes nothing.

    Arguments and errors as `run`.
    """
    from rich.console import Console

    opened = _root(root)
    order = _order(manifest, opened, inputs, (), overrides, only=only, confirmed=True)
    details = order.plan_json()
    table = StringIO()
    Console(file=table, width=100, force_jupyter=False).print(order.plan_table())
    total = details["cells"] if "cells" in details else len(details["models"])
    seconds = details.get("seconds")
    return Planned(order.prepared.name, opened.uri, total, order.to_do, seconds, details, table.getvalue())


def results(root: PathLike | None = None, sweep: str | None = None) -> pd.DataFrame:
    """Return a row for each finished cell: its settings, losses, metrics and judgements.

    Settings that are lists or mappings are Python's lists and dictionaries, whole numbers and truth values keep their
    type where some are missing (`Int64`, `boolean`), and columns without any value are left out. What `nst judge` said
    is in its columns. `picture_uri` and `thumbnail_uri` tell where the files lie now, also below a root that was moved
    or copied, and `picture_key` is the picture's key below the root.

    Args:
        root: Folder or URI of pictures and catalog; by default NST_ROOT of the environment, or else `out`.
        sweep: Name of a sweep, or at least four characters of the beginning of its id; of several sweeps of one name
            the newest, with a warning that names the others. Its cells come in the order of its manifest and under its
            names, also those that an earlier sweep computed. By default all cells below the root, the oldest first.

    Raises:
        InputError: There is nothing below the root, or no such sweep.
    """
    from tasks.pages.results_frame import results_frame

    opened = _root(root)
    return results_frame(opened, None if sweep is None else _newest(opened, arguments.text(sweep, "the sweep")))


def picture(row: Any, *, root: PathLike | None = None) -> Image.Image:
    """Return the picture of a cell as a PIL image; of a clip its small moving preview.

    Args:
        row: A row of `results`: a Series (`frame.iloc[0]`), a dictionary, or what `frame.itertuples()` gives.
        root: Where the root is, for rows that were read before it was moved; by default where the row says.

    Raises:
        InputError: It is no such row, or the picture is missing or damaged.
    """
    from tasks.pages.pictures import picture_of

    return picture_of(row, None if root is None else _root(root))


def grid(
    frame: pd.DataFrame,
    *,
    rows: str | Sequence[str] = "content_name",
    columns: str | Sequence[str] = "style_name",
    size: int = 160,
) -> PictureTable:
    """Return a table of pictures, which a notebook shows; `.image` is the same as a PIL image.

    Where several cells share a place, the first is shown with their number and what they differ in.

    Args:
        frame: Rows of `results`, at most 400.
        rows: The column, or columns, whose values head the rows.
        columns: The same for the columns.
        size: Width of a picture in pixels, at most 256.

    Raises:
        InputError: A column is missing, or there are too many rows.
    """
    from tasks.pages.picture_table import picture_table

    return picture_table(frame, arguments.texts(rows, "rows"), arguments.texts(columns, "columns"), size)


def votes(root: PathLike | None = None) -> pd.DataFrame:
    """Return all blind votes below a root, a row each, the oldest first; docs/catalog.md lists the columns.

    Args:
        root: Folder or URI of pictures and catalog; by default NST_ROOT of the environment, or else `out`.
    """
    from tasks.pages.ranking import votes_frame

    return votes_frame(_something_below(root).catalog)


def notes(root: PathLike | None = None) -> pd.DataFrame:
    """Return favourites, tags (lists) and notes: the latest of each cell that has any, by its `cell_id`.

    Args:
        root: Folder or URI of pictures and catalog; by default NST_ROOT of the environment, or else `out`.
    """
    from tasks.pages.ranking import annotations_frame

    return annotations_frame(_something_below(root).catalog)


def ranking(
    by: str = "cell_id", *, root: PathLike | None = None, sweep: str | None = None, prior: float = 1.0
) -> pd.DataFrame:
    """Return how strong each value of a setting is by the blind votes, the strongest first (Bradley & Terry 1952).

    A difference d of `strength` means that the stronger of two is preferred with the probability 1 / (1 + exp(-d));
    their mean is 0. A vote counts where its cells differ in `by`, whatever else they differ in: if pairs are drawn at
    random, other settings average out. `nst.bradley_terry` states the model.

    Args:
        by: A column of `results`, such as `style_weight`, `method` or `style_name`; by default each cell is ranked.
        root: Folder or URI of pictures and catalog; by default NST_ROOT of the environment, or else `out`.
        sweep: Name or beginning of the id of a sweep, as for `results`: votes between its cells alone count.
        prior: As if each value had won and lost half of so many comparisons with an average one; 1e-9 to 1e6. It
            keeps values finite that always won, and draws those with few votes towards 0.

    Returns:
        A row for each value that has votes: `strength`, `standard_error`, `wins`, `losses`, `ties`. Where no vote
        counts there is none, and a warning says why.

    Raises:
        InputError: There is no such column or sweep, the prior is out of its range, or nothing is below the root.
    """
    from tasks.pages.ranking import ranking_frame

    prior, by = arguments.weight(prior, "the prior"), arguments.text(by, "the column to rank by")
    named = None if sweep is None else arguments.text(sweep, "the sweep")
    opened = _something_below(root)
    found = ranking_frame(opened.catalog, by, None if named is None else _newest(opened, named), prior)
    if found.empty:
        number = len(opened.catalog.keys("votes", "vote_id"))
        which = f"compares cells that differ in {by!r}" + (f" and belong to the sweep {sweep}" if sweep else "")
        there = f"none of the {number:,} votes below {opened.uri} {which}"
        warnings.warn(there if number else f"there are no votes below {opened.uri}", stacklevel=2)
    return found


def _newest(root: Root, wanted: str) -> str:
    """Return the id of the newest sweep that is meant, and warn the caller of `nst` if there are others."""
    from tasks.status import find_sweeps

    found, *others = find_sweeps(root, wanted)
    if others:
        ids = ", ".join(status.sweep_id[:8] for status in others)
        warnings.warn(f"{found.sweep_id[:8]} is the newest sweep called {wanted}; others: {ids}", stacklevel=3)
    return found.sweep_id


def _order(
    manifest: PathLike | Mapping[str, Any],
    root: Root,
    inputs: PathLike,
    devices: str | Sequence[str],
    overrides: str | Sequence[str],
    *,
    only: PathLike | Iterable[str] | None,
    confirmed: bool,
) -> SweepOrder | TrainingOrder:
    from flows.order.request import Request, order_of
    from tasks.inputs.manifest_source import declared_manifest
    from tasks.work.devices import choose_devices

    changes = arguments.texts(overrides, "overrides")
    names = devices.split(",") if isinstance(devices, str) else arguments.texts(devices, "devices")
    folder = arguments.path(inputs, "inputs")
    if isinstance(manifest, Mapping):
        source = declared_manifest(manifest, changes)
        uri = source.uri
    elif isinstance(manifest, str | os.PathLike):
        source, uri = None, os.fspath(manifest)
    else:
        raise InputError(f"found {arguments.found(manifest)} as the manifest, expected a path, a URI or a dictionary")
    request = Request(
        uri, root, folder, choose_devices(names), confirmed=confirmed, overrides=changes, only=_only(only)
    )
    return order_of(request, source)


def _only(only: PathLike | Iterable[str] | None) -> str | tuple[str, ...] | None:
    if only is None:
        return None
    if isinstance(only, str | os.PathLike):
        return os.fspath(only)
    ids = tuple(only) if isinstance(only, Iterable) else ()
    if not ids or not all(isinstance(cell_id, str) for cell_id in ids):
        raise InputError(
            f"found {arguments.found(only)} as the cells to run, expected ids of cells, at least one, or a path"
        )
    return ids


def _root(root: PathLike | None, *, probed: bool = False) -> Root:
    from tasks.root import open_root

    where = os.environ.get("NST_ROOT", "out") if root is None else arguments.path(root, "the root")
    return open_root(where, probed=probed)


def _something_below(root: PathLike | None) -> Root:
    opened = _root(root)
    if not opened.catalog.keys("sweeps", "sweep_id"):
        raise InputError(f"no sweep has been run below {opened.uri}", hint="check the root")
    return opened
