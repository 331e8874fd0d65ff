"""Copies of inputs below a root (`tasks.planning.uploading`) that nobody names any more.

A copy is named by rows of results, failures and models, by its digest, and by the plan of whatever is open, by its key.
The frames of a clip name it by the row of their cell. Whoever submits looks at the copies once more when the plan is
stored, so that one which was removed meanwhile is copied again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasks.layout import INPUTS
from tasks.naming import Names
from tasks.planning.plan_files import plan_texts

if TYPE_CHECKING:
    from tasks.fsck.findings import Report
    from tasks.root import Root
    from tasks.store import Stat, Store


def unnamed_inputs(names: Names, store: Store, stats: list[Stat], before: float) -> list[Stat]:
    """Return which of some objects are copies of inputs that no row and no plan names; files of people are none."""
    del before
    copies = [(stat, match[1]) for stat in stats if (match := re.fullmatch(r"inputs/([0-9a-f]{64})(\.\w+)?", stat.key))]
    if not copies:
        return []
    # The plans are read first: of one that is closed by then, the rows are there.
    in_plans = {found.decode() for text in plan_texts(store) for found in re.findall(rb"inputs/([0-9a-f]{64})", text)}
    left = [(stat, digest) for stat, digest in copies if digest not in in_plans]
    in_rows = names.renewed().inputs([digest for _, digest in left])
    return [stat for (stat, _), is_named in zip(left, in_rows, strict=True) if not is_named]


def check_inputs(root: Root, report: Report) -> None:
    """Note the copies of inputs that nobody names."""
    found = root.store.list(INPUTS)
    left = unnamed_inputs(Names(root.catalog), root.store, found, 0.0) if found else []
    if left:
        size = sum(stat.size for stat in left)
        report.notes.append(
            f"{len(left)} copies of inputs ({size:,} bytes) belong to no result, failure, model or open plan, "
            "harmless; `nst repair` removes them"
        )
