"""The tables that `nst plan` prints, of a sweep and of a training. Text only: nothing is decided here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from flows.counted import counted
from flows.order.summary import duration
from nst.planning.merging import merge_reasons

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.planning.memory import BatchMemory
    from tasks.planning.sweep import PreparedSweep
    from tasks.planning.training import PreparedTraining


def sweep_table(prepared: PreparedSweep) -> Group:
    """Return what a sweep holds, what of it is done, what is to do and why."""
    plan = prepared.plan
    table = Table(show_header=False)
    table.add_row("cells", f"{plan.total:,}")
    methods = plan.cells.methods()
    if len(methods) > 1:
        table.add_row("of", ", ".join(f"{name}: {count:,}" for name, count in methods.items()))
    for reason, count in merge_reasons(plan.cells).items():
        table.add_row("merged", Text(f"{count:,}: {reason}"))
    for remark in (*plan.remarks(), *prepared.notes):
        table.add_row("note", Text(remark))
    table.add_row("done", f"{plan.done:,}")
    for reason, count in plan.reasons.items():
        if reason not in {"done", "not chosen"} and count:
            table.add_row(f"to do: {reason}", f"{count:,}")
    if plan.not_chosen:
        table.add_row("not chosen", f"{plan.not_chosen:,}")
    if untrained := sum(len(training.to_do) for training in prepared.trainings):
        table.add_row("models to train first", f"{untrained:,}")
    frames, kept = prepared.frames()
    if frames:
        table.add_row("frames", f"{frames:,}" + (f", {kept:,} of them made already" if kept else ""))
    table.add_row("batches", f"{plan.batch_count:,}")
    table.add_row("time", _time(prepared, untrained))
    _add_known(table, {
        "memory": _memory(prepared.memory),
        "pictures": f"about {_size(plan.output_bytes)}",
        "strokes": _strokes(prepared.stroke_widths),
    })  # fmt: skip
    return Group(f"sweep {plan.name}  {plan.sweep_id[:8]}  below {prepared.root.uri}", table)


def _add_known(table: Table, rows: Mapping[str, str | Text | None]) -> None:
    for row, text in rows.items():
        if text:
            table.add_row(row, text)


def _strokes(widths: tuple[float, float] | None) -> str:
    """Return how wide a brush stroke of a painting is in its picture: the paintings are scaled (`style_scale`)."""
    tens = dict.fromkeys(f"{10 * width:.3g}" for width in widths or ())
    return f"10 px of a painting are {' to '.join(tens)} px of its picture" if tens else ""


def _memory(memory: BatchMemory | None) -> Text | None:
    """Return what a batch takes, of how much, and how it passes; None where that is not known."""
    if memory is None:
        return None
    text = f"about {_size(memory.needed)} for a batch"
    if memory.there_is < math.inf:
        text += f", of {_size(memory.there_is)} free"
    if (passes := memory.passes) and passes.tile:
        text += f": in tiles of {passes.tile} px"
    elif passes:
        text += ": one by one" if passes.together == 1 else f": {passes.together} at a time"
    return Text(text) if memory.fits else Text(f"{text}: more than there is", "yellow")


def _time(prepared: PreparedSweep, untrained: int) -> str:
    """Return the estimated duration, what it is made of, and what there is no estimate of."""
    plan = prepared.plan
    models = f"the training of {counted(untrained, 'models')}, whose time is not known"
    if plan.seconds is None:
        unknown = "unknown: nothing like it in the catalog yet"
        return f"{unknown}; and {models}" if untrained else f"{unknown}; --calibrate tries it out"
    time = duration(plan.seconds)
    parts = [f"roughly {time}, by a trial of a few seconds" if prepared.tried_out else f"about {time}"]
    if plan.unknown:
        parts.append(f"{counted(plan.unknown, 'cells')} unlike any in the catalog yet")
    return ", and ".join([*parts, *([models] if untrained else [])])


def training_table(prepared: PreparedTraining) -> Group:
    """Return the models of a training manifest, each with its state."""
    table = Table("model", "family", "styles", "steps", "state")
    for spec in prepared.specs:
        state = prepared.state(spec)
        styles = ", ".join(style.name for style in spec.styles[:3]) + (", ..." if len(spec.styles) > 3 else "")
        color = "green" if state == "trained" else "yellow"
        table.add_row(spec.model_id[:8], spec.config.family, styles, f"{spec.config.steps:,}", Text(state, color))
    photographs = counted(len(prepared.resolved.photographs), "photographs")
    return Group(f"training {prepared.name}  {photographs}  below {prepared.root.uri}", table)


def _size(number: float) -> str:
    """Return bytes with a binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
