"""What orchestration costs: a trivial effect inline and under Prefect, per call and per cell of a chunk.

    python tests/benchmarks/bench_overhead.py

Prefect's share of a chunk is its cost per task run divided by the chunk's seconds; a chunk of a sweep is about 40 s.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from flows.engine import InlineEngine, completed
from tasks.effect import effect

if TYPE_CHECKING:
    from collections.abc import Callable

INLINE_CALLS = 5000
TASK_RUNS = 300
CELLS_PER_CHUNK = (1, 4, 16, 64)


@effect()
def trivial(number: int) -> int:
    """Return the next number: all that is left is the engine's own cost."""
    return number + 1


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Return (wall seconds, CPU seconds of this process)."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def server_cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def inline() -> tuple[float, float]:
    """Return (wall, CPU) seconds of `INLINE_CALLS` calls."""
    with InlineEngine(2) as engine:
        return timed(lambda: list(completed(engine, trivial, range(INLINE_CALLS), 4)))


def under_prefect(state_dir: Path) -> dict[str, float]:
    """Return the seconds of each part of a flow of `TASK_RUNS` task runs on a private server."""
    from tasks.prefect import process as prefect_process
    from tasks.prefect.server import current_server, private_server, starting_server

    pids = []
    start = prefect_process.start

    def noting_start(state_dir: Path) -> prefect_process.ServerProcess:
        server = start(state_dir)
        pids.append(server.process.pid)
        return server

    prefect_process.start = noting_start
    parts = {}
    clock = time.perf_counter()
    with starting_server(state_dir) as starting, private_server(starting):
        parts["start"] = time.perf_counter() - clock

        from prefect import flow
        from prefect.context import FlowRunContext

        from flows.prefect_engine import PrefectEngine, in_thread

        @flow
        async def run(count: int) -> str:
            with PrefectEngine(2) as engine:
                parts["wall"], parts["cpu"] = await in_thread(
                    engine, lambda: timed(lambda: list(completed(engine, trivial, range(count), 4)))
                )
            return str(FlowRunContext.get().flow_run.id)

        asyncio.run(run(2))  # imports and connections
        parts["flow"], _ = timed(lambda: asyncio.run(run(1)))
        before = server_cpu_s(pids[0])
        flow_run_id = asyncio.run(run(TASK_RUNS))
        parts["drain"], _ = timed(lambda: current_server().drained(flow_run_id, TASK_RUNS))
        parts["server_cpu"] = server_cpu_s(pids[0]) - before
        clock = time.perf_counter()
    parts["stop"] = time.perf_counter() - clock
    prefect_process.start = start
    return parts


def main() -> None:
    """Print the table."""
    wall, cpu = inline()
    with tempfile.TemporaryDirectory() as folder:
        first = under_prefect(Path(folder))["start"]
        parts = under_prefect(Path(folder))
    inline_ms, task_ms = 1e3 * wall / INLINE_CALLS, 1e3 * parts["wall"] / TASK_RUNS
    print("orchestration overhead, milliseconds        inline    Prefect")
    for what, inline_s, prefect_s in (
        ("wall", wall / INLINE_CALLS, parts["wall"] / TASK_RUNS),
        ("CPU of this process", cpu / INLINE_CALLS, parts["cpu"] / TASK_RUNS),
        ("CPU of the server", 0, parts["server_cpu"] / TASK_RUNS),
    ):
        print(f"  one effect, {what:<27}{1e3 * inline_s:9.3f}  {1e3 * prefect_s:9.2f}")
    for cells in CELLS_PER_CHUNK:
        print(f"  per cell, chunks of {cells:<3d}                {inline_ms / cells:9.4f}  {task_ms / cells:9.3f}")
    print(f"Prefect's share of a chunk of 40 s: {100 * task_ms / 40_000:.3f} %")
    print(
        f"Prefect once per run, seconds: server start {parts['start']:.1f} (first time {first:.1f}), "
        f"an empty flow {parts['flow']:.2f}, last records {parts['drain']:.2f}, stop {parts['stop']:.2f}"
    )


if __name__ == "__main__":
    main()
