"""The columns of `runs`: who took part in what, for how long, and what its devices did in that time."""

from __future__ import annotations

from typing import Final

from tasks.catalog.columns import WORKPLACE, Column, described

PARTICIPATION: Final = (
    *described(
        "string",
        run_id="Identity of the row: random id of the participant, as events name it (`participant`).",
        kind="What it took part in: `sweep` or `train`. Models that a sweep lacks are trained before it, in a row of "
        "their own.",
        sweep_id="The sweep; null for trainings.",
        name="Name of the manifest.",
        user="The variable `NST_USER` of the process that took part. Null where it is not set; nothing else says who "
        "or which machine it was.",
        submitted_by="The variable `NST_USER` of the process that submitted it, or ran it first. Null where it was not "
        "set.",
        methods="JSON list of the methods, or of the families of networks, of what it took.",
    ),
    Column(
        "started_at", "timestamp", "When it began: after planning, while its workers may still have been loading, UTC."
    ),
    Column("ended_at", "timestamp", "When it had done the last thing of its part or was stopped, UTC."),
    Column("seconds", "float64", "Wall-clock seconds between the two."),
    Column("devices", "string", "JSON list of the devices of torch that it had, one for each of its workers."),
    Column(
        "device_seconds",
        "float64",
        "Seconds in which its devices computed: of batches the seconds of `batch_seconds`, of trainings all from "
        "reading the photographs to writing the weights, summed. Of what was in hand when it was stopped, the time "
        "between the first and the last step that was heard of.",
    ),
    Column("method_seconds", "string", "JSON object: the same for each of `methods`."),
    Column(
        "busy",
        "float64",
        "Share of the time in which its devices computed: `device_seconds` by `seconds` and number of devices, 0..1. "
        "The rest is loading, waiting for a device that another run uses, and waiting for other participants.",
    ),
    Column(
        "estimated_seconds",
        "float64",
        "What the plan estimated for the cells that it did, on one device, by the rates that were known when it began: "
        "to be compared with `device_seconds`, which also counts what failed and what was in hand at a stop. Null "
        "where a rate was not known, where nothing was done, and for trainings.",
    ),
    Column("done", "int64", "Cells, or models of a training, that it did."),
    Column("failed", "int64", "Cells, or models, that it tried in vain."),
    Column("by_others", "int64", "Cells, or models, that other participants did meanwhile."),
    Column("stopped", "bool", "Whether something ended it early: somebody, a broken device, or the store."),
    *(column for column in WORKPLACE if column.name == "nst_version"),
)
