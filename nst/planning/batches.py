"""What a sweep is to run and why: the cells that are not done, in batches, with an estimate. No effects."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nst.config.method import PixelMethod
from nst.config.previews import preview_count
from nst.identity import hex_of
from nst.planning.grouping import compose
from nst.planning.merging import merge_reasons
from nst.planning.rates import rate_of
from nst.records import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from nst.config.method import Method
    from nst.planning.cells import Cells
    from nst.planning.rates import Rate

NEW: Final = "new"
DONE: Final = "done"
NOT_CHOSEN: Final = "not chosen"
FAILED: Final = "failed before"
INPUT: Final = "input changed"
VERSION: Final = "method version changed"

MAX_STRETCHES: Final = 2000
"""Most stretches that a sweep is divided into."""

_BYTES_PER_PIXEL: Final = {"png": 2.4, "jpeg": 0.9, "webp": 0.6}
_EXTRA_BYTES: Final = 40_000
"""Bytes of a cell beside its picture: thumbnail, record and row."""

_PREVIEW_BYTES: Final = 10_000
"""Bytes of one of its previews."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is to be run of a sweep.

    Attributes:
        sweep_id: Hash of the name and of all cells in order: the same manifest with the same inputs has the same id.
        name: Name of the manifest.
        cells: All cells of the sweep, done or not.
        reasons: Number of cells by the reason for which they are run, of those that are done, and of those that are
            left out because somebody chose others.
        cost: Cost of all cells that are to be run (`nst.config.method.Method.cost`).
        seconds: Estimated duration on one device of the cells whose rates are known; None if no rate is.
        unknown: Number of cells that are to be run and whose rates the history lacks.
        output_bytes: Rough size of what will be written.
        history: Seconds per unit of cost, where they are known.
        composed: Number of batches of the sweep, done or not.
        failed: Number of failed attempts by cell id, from which the attempts of this plan count.
        scope: Says which batches these are, where the sweep's id does not: a hash of their size, if the manifest names
            one, and of the cells that somebody chose, if anybody did; else "".
    """

    sweep_id: str
    name: str
    cells: Cells
    reasons: Counter[str]
    cost: float
    seconds: float | None
    unknown: int
    output_bytes: int
    history: Mapping[Rate, float]
    composed: int
    failed: Mapping[str, int]
    scope: str
    _batches: list[list[int]]
    _places: list[int]
    _reason: Callable[[int], str]

    @property
    def total(self) -> int:
        """Number of cells of the sweep."""
        return len(self.cells)

    @property
    def done(self) -> int:
        """Number of cells that are done already."""
        return self.reasons[DONE]

    @property
    def to_do(self) -> int:
        """Number of cells that are to be run."""
        return self.total - self.done - self.not_chosen

    @property
    def not_chosen(self) -> int:
        """Number of cells that are not done and are left out."""
        return self.reasons[NOT_CHOSEN]

    @property
    def batch_count(self) -> int:
        """Number of batches that are to be run."""
        return len(self._batches)

    def reason(self, number: int) -> str:
        """Return the reason for which a cell is run, or `done` or `not chosen`."""
        return self._reason(number)

    def batches(self) -> Iterator[Batch]:
        """Yield the batches in order; each is made when it is its turn."""
        for numbers in self._batches:
            yield self._batch(numbers)

    def stretches(self) -> dict[int, list[int]]:
        """Return which batches that are to be run lie in each stretch, by the number of the stretch, in order.

        Several runs of a sweep divide it among themselves by stretches. Where their bounds are follows from the
        manifest alone, since batches that are not run have their places, too.
        """
        width = max(1, -(-self.composed // MAX_STRETCHES))
        found: dict[int, list[int]] = {}
        for index, place in enumerate(self._places):
            found.setdefault(place // width, []).append(index)
        return found

    def ids_of(self, index: int) -> list[str]:
        """Return the ids of the cells of one of the batches that are to be run."""
        return [self.cells.ids[number] for number in self._batches[index]]

    def batch(self, index: int, without: Container[str] = ()) -> Batch | None:
        """Return one of the batches that are to be run without some cells; None if it has no others."""
        numbers = [number for number in self._batches[index] if self.cells.ids[number] not in without]
        return self._batch(numbers) if numbers else None

    def largest_batches(self) -> list[tuple[Method, int]]:
        """Return the settings of each structure that is to be run, with the most cells of one of its batches."""
        most: dict[int, int] = {}
        for numbers in self._batches:
            structure = self.cells.structure(numbers[0])
            most[structure] = max(most.get(structure, 0), len(numbers))
        return [(self.cells.structure_config(structure), count) for structure, count in most.items()]

    def remarks(self) -> list[str]:
        """Return what the settings of the cells that are to be run have to say (`nst.config.method.Method.remarks`)."""
        return list(dict.fromkeys(remark for config, _ in self.largest_batches() for remark in config.remarks()))

    def costs(self) -> dict[Rate, float]:
        """Return the cost of the cells that are to be run, by what their seconds depend on."""
        found: defaultdict[Rate, float] = defaultdict(float)
        for structure, (_, cost) in _totals(self.cells, self._batches).items():
            found[rate_of(self.cells.structure_config(structure))] += cost
        return dict(found)

    def to_json(self) -> dict[str, Any]:
        """Return the plan's figures and the first value of everything that varies, for `nst plan --json`."""
        return {
            "sweep_id": self.sweep_id,
            "name": self.name,
            "cells": self.total,
            "methods": self.cells.methods(),
            "contents": sum(content is not None for content in self.cells.contents),
            "styles": sum(style is not None for style in self.cells.styles),
            "points": len(self.cells.variants),
            "axes": {axis.setting: list(axis.values) for axis in self.cells.variants.sweep.axes},
            "excluded": self.cells.excluded,
            "merged": self.cells.merged,
            "merged_because": merge_reasons(self.cells),
            "remarks": self.remarks(),
            "reasons": {name: self.reasons[name] for name in (DONE, NEW, FAILED, INPUT, VERSION)},
            "not_chosen": self.not_chosen,
            "to_do": self.to_do,
            "batches": self.batch_count,
            "cost": self.cost,
            "seconds": self.seconds,
            "cells_of_unknown_duration": self.unknown,
            "output_bytes": self.output_bytes,
        }

    def _batch(self, numbers: list[int]) -> Batch:
        cells = tuple(self.cells.cell(n, 1 + self.failed.get(self.cells.ids[n], 0)) for n in numbers)
        structure = self.cells.structure(numbers[0])
        return Batch(
            hex_of(cell.cell_id for cell in cells),
            cells,
            self.cells.weights_digests[structure],
            self.cells.cost(numbers),
        )


def make_plan(
    name: str,
    cells: Cells,
    done: Container[str] = frozenset(),
    *,
    failed: Mapping[str, int] | None = None,
    known: Mapping[str, int] | None = None,
    history: Mapping[Rate, float] | None = None,
    only: Container[str] | None = None,
) -> Plan:
    """Return the plan of a sweep.

    Args:
        name: Name of the manifest.
        cells: All its cells.
        done: Ids of cells that are committed.
        failed: Number of failed attempts by cell id.
        known: Method version of the latest done cell by address (`nst.identity.address`): it tells whether an input
            or the method has changed since a cell was done.
        history: Seconds per unit of cost.
        only: Ids of the cells that are to be run; None for all. The sweep is the whole one all the same.
    """
    failed, known, history = failed or {}, known or {}, history or {}
    left_out = {cell for cell in cells.ids if cell not in only and cell not in done} if only is not None else set()
    batches, places, composed = compose(cells, _Either(left_out, done) if left_out else done)
    to_do = sum(map(len, batches))
    reason = _reasons(cells, done, failed, known, left_out)
    reasons = Counter({DONE: len(cells) - to_do - len(left_out)})
    if left_out:
        reasons[NOT_CHOSEN] = len(left_out)
    if failed or known:
        reasons.update(reason(number) for batch in batches for number in batch)
    else:
        reasons[NEW] = to_do
    cost, seconds, unknown, output_bytes = _estimate(cells, batches, history)
    sweep_id = hex_of((name, "\n", *cells.ids), size=8)
    return Plan(
        sweep_id=sweep_id,
        name=name,
        cells=cells,
        reasons=reasons,
        cost=cost,
        seconds=seconds,
        unknown=unknown,
        output_bytes=output_bytes,
        history=history,
        composed=composed,
        failed=failed,
        scope=_scope(cells, only),
        _batches=batches,
        _places=places,
        _reason=reason,
    )


def _scope(cells: Cells, only: Container[str] | None) -> str:
    """Return what tells the batches of a sweep from others of the same sweep (`Plan.scope`)."""
    if cells.batch_size is None and only is None:
        return ""
    chosen = () if only is None else (cell for cell in cells.ids if cell in only)
    return hex_of((f"{cells.batch_size}", "\n", *chosen), size=8)


class _Either:
    """What one of two containers has."""

    def __init__(self, *containers: Container[str]) -> None:
        self._containers = containers

    def __contains__(self, cell: object) -> bool:
        return any(cell in container for container in self._containers)


def _estimate(
    cells: Cells, batches: list[list[int]], history: Mapping[Rate, float]
) -> tuple[float, float | None, int, int]:
    """Return the cost of the batches, their seconds as far as known, the cells without a rate, and the bytes written.

    The seconds are None if there are cells and no rate of theirs is known.
    """
    totals = _totals(cells, batches)
    total, seconds, unknown, output_bytes = 0.0, 0.0, 0, 0
    for structure, (count, cost) in totals.items():
        config = cells.structure_config(structure)
        rate = history.get(rate_of(config))
        unknown += count if rate is None else 0
        total += cost
        seconds += cost * (rate or 0.0)
        each = round(config.pixels * _BYTES_PER_PIXEL[cells.output.format] + _EXTRA_BYTES)
        if isinstance(config, PixelMethod):
            steps = sum(steps for _, steps in config.pyramid.schedule(config.steps))
            each += preview_count(cells.preview_every, steps) * _PREVIEW_BYTES
        output_bytes += count * each
    if cells.has_clips:
        for batch in batches:
            config = cells.structure_config(cells.structure(batch[0]))
            passes = getattr(config.motion, "passes", 1)  # each of them keeps its frames
            output_bytes += sum(map(cells.frames, batch)) * passes * round(config.pixels * _BYTES_PER_PIXEL["png"])
    everything = sum(count for count, _ in totals.values())
    return total, None if unknown and unknown == everything else seconds, unknown, output_bytes


def _totals(cells: Cells, batches: list[list[int]]) -> dict[int, tuple[int, float]]:
    """Return the number of cells and the cost of the batches of each structure."""
    totals: dict[int, tuple[int, float]] = {}
    for batch in batches:
        structure = cells.structure(batch[0])
        count, cost = totals.get(structure, (0, 0.0))
        totals[structure] = count + len(batch), cost + cells.cost(batch)
    return totals


def _reasons(
    cells: Cells,
    done: Container[str],
    failed: Mapping[str, int],
    known: Mapping[str, int],
    left_out: Container[str],
) -> Callable[[int], str]:
    """Return a function from a cell's number to the reason for which it is run, or `done` or `not chosen`."""
    address = cells.addresses() if known else None

    def reason(number: int) -> str:
        cell = cells.ids[number]
        if cell in done:
            return DONE
        if cell in left_out:
            return NOT_CHOSEN
        if cell in failed:
            return FAILED
        version = known.get(address(number)) if address else None
        if version is None:
            return NEW
        return INPUT if version == cells.structure_config(cells.structure(number)).version else VERSION

    return reason
