"""What a user asks for: the one request of sweeps, trainings and nights."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """A manifest to be carried out below a root.

    Attributes:
        manifest: URI or path of the manifest.
        root: URI or path of the root.
        inputs: Folder or URI that relative inputs are resolved against; "" means the manifest's own folder.
        devices: Devices to use, one worker each (`tasks.work.workers.find_devices`).
        confirmed: Whether an estimate above the manifest's budget of hours is accepted.
    """

    manifest: str
    root: str
    inputs: str = ""
    devices: tuple[str, ...] = ("cpu",)
    confirmed: bool = False
