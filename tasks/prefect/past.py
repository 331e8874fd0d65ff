"""Prefect's pages of past runs, served from the databases that private servers have left in the user's state folder."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.prefect import process as prefect_process
from tasks.prefect.server import default_state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tasks.prefect.process import ServerProcess

_START_DEADLINE_S = 120


@dataclass(frozen=True)
class PastRuns:
    """A server that shows past runs.

    Attributes:
        page: Address of the list of runs.
        server: Its process.
        others: Numbers of the other databases: runs at one time are kept apart.
    """

    page: str
    server: ServerProcess
    others: tuple[int, ...]


@contextmanager
def past_runs(number: int = 0, state_dir: Path | None = None) -> Iterator[PastRuns]:
    """Serve a database of past runs for the length of the context.

    Args:
        number: Number of the database, `runs-<number>.db`.
        state_dir: Folder of the databases; by default the user's.

    Raises:
        UserError: There is no such database, a run uses it now, or the server does not start.
    """
    folder = state_dir or default_state_dir()
    server = prefect_process.start(folder, number)
    try:
        server.wait_until_healthy(_START_DEADLINE_S)
        numbers = sorted(int(path.stem.removeprefix("runs-")) for path in folder.glob("runs-*.db"))
        others = tuple(other for other in numbers if other != number)
        yield PastRuns(f"{server.api_url.removesuffix('/api')}/runs", server, others)
    finally:
        server.stop()
