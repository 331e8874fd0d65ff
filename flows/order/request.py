"""From what a user asks for to an order: one request for sweeps, trainings and nights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.order.sweep import SweepOrder, plan_sweep
from flows.order.training import TrainingOrder, plan_training
from nst.errors import InputError
from tasks.inputs.manifest_source import read_manifest

if TYPE_CHECKING:
    from tasks.inputs.manifest_source import ManifestSource
    from tasks.root import Root


@dataclass(frozen=True, slots=True)
class Request:
    """A manifest to be carried out below a root.

    Attributes:
        manifest: URI or path of the manifest.
        root: The root; probed, unless nothing but the plan is wanted (`tasks.root.open_root`).
        inputs: Folder or URI that relative inputs are resolved against; "" means the manifest's own folder.
        devices: Devices to use, one worker each (`tasks.work.workers.find_devices`).
        overrides: Changes to the manifest, `key=value` each (`nst.manifest.overrides`).
        only: URI or path of a list of the cells that alone are to be run, or their ids; None for all cells.
        confirmed: Whether an estimate above the manifest's budget of hours is accepted.
        is_confined: Whether it and all manifests that it names must lie in its folder (`BaseUri.is_confined`).
    """

    manifest: str
    root: Root
    inputs: str = ""
    devices: tuple[str, ...] = ("cpu",)
    confirmed: bool = False
    overrides: tuple[str, ...] = ()
    only: str | tuple[str, ...] | None = None
    is_confined: bool = False


def order_of(request: Request, source: ManifestSource | None = None) -> SweepOrder | TrainingOrder:
    """Plan what the manifest of a request declares; it is read and parsed once.

    Args:
        request: What the user asks for.
        source: The manifest, where it has been read already.

    Raises:
        UserError: The manifest, an input or the list of cells cannot be used, or the budget is exceeded.
    """
    source = source or read_manifest(request.manifest, request.overrides, is_confined=request.is_confined)
    if source.declaration.kind != "train":
        return plan_sweep(request, source)
    if request.only is not None:
        raise InputError("a training has no cells to choose from", hint="leave out --only")
    return plan_training(request, source)
