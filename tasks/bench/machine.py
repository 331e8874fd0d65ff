"""The facts about a machine that say what its figures mean, and none that names it or its owner."""

from __future__ import annotations

import os
import platform

from nst.benchmarks.report import Machine
from tasks.work.devices import usable_cores
from tasks.work.workplace import processor_name, software


def this_machine(device: str, described: tuple[str, int], load: float | None) -> Machine:
    """Return the facts about this machine.

    Args:
        device: The device that was measured, as users name it.
        described: Its model name, and its memory in bytes.
        load: The load average before anything was measured (`load_average`).
    """
    versions, (name, memory_bytes) = software(), described
    kind = device.partition(":")[0]
    assert kind in {"cpu", "cuda", "mps"}
    return Machine(
        kind=kind,  # type: ignore[arg-type]  # asserted
        name=name,
        processor=processor_name(),
        cores=os.cpu_count() or 1,
        threads=usable_cores(),
        memory_bytes=memory_bytes,
        system=f"{platform.system()} {platform.machine()}",
        nst=versions["nst_version"],
        torch=versions["torch_version"],
        python=versions["python_version"],
        load=load,
    )


def load_average() -> float | None:
    """Return the load average of the last minute, None where the system does not say."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None
