"""From a manifest to a plan: inputs found and digested, cells with ids, minus those done. Never torch.

Everything that can be wrong with a sweep is found here, before anything starts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nst.errors import UserError
from nst.manifest.sweep import Manifest, check_manifest
from nst.planning.batches import DONE, NOT_CHOSEN, Plan, make_plan
from nst.planning.cells import choose_models
from nst.planning.rates import rate_of
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.digests import Digests
from tasks.jobs import Job
from tasks.layout import PICTURES, THUMBNAILS
from tasks.models.choose import trained_models
from tasks.planning.calibration import kept_calibrations
from tasks.planning.fitting import check_fitting
from tasks.planning.history import known_rates, known_versions
from tasks.planning.inputs import InputFaults, check_downloads
from tasks.planning.memory import batch_memory
from tasks.planning.model_choice import ModelChoice
from tasks.planning.only import choose_cells
from tasks.planning.resolved import ResolvedSweep
from tasks.planning.strokes import stroke_widths
from tasks.planning.sweep_inputs import find_inputs
from tasks.store.obstacles import check_folders

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from nst.config.backbone import BackboneConfig
    from nst.config.finish import FinishConfig
    from nst.planning.cells import Cells
    from nst.planning.rates import Calibration, Rate
    from nst.records import Batch, ModelRef
    from tasks.inputs.manifest_source import ManifestSource
    from tasks.inputs.weights import WeightsRef
    from tasks.planning.memory import BatchMemory
    from tasks.planning.only import Listed
    from tasks.planning.training import PreparedTraining
    from tasks.root import Root


@dataclass(frozen=True, slots=True)
class PreparedSweep:
    """A planned sweep, with everything that running it needs.

    Attributes:
        plan: The cells in batches, those that are done subtracted.
        root: Where pictures and rows go.
        source: The manifest as it was read.
        manifest: The same, checked.
        resolved: The manifest with all its inputs, which the plan follows from.
        trainings: The training manifests whose models the cells run, trained or not.
        calibrations: What short trials on this machine measured, by kind of cells.
        notes: What is odd about the images and costs some cells or less, for people.
    """

    plan: Plan
    root: Root
    source: ManifestSource
    manifest: Manifest
    resolved: ResolvedSweep
    trainings: tuple[PreparedTraining, ...]
    calibrations: Mapping[Rate, Calibration]
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Id of the sweep."""
        return self.plan.sweep_id

    @property
    def scope(self) -> str:
        """As `nst.planning.batches.Plan.scope`."""
        return self.plan.scope

    @property
    def ids(self) -> list[str]:
        """Ids of all cells."""
        return self.plan.cells.ids

    @property
    def failed(self) -> Mapping[str, int]:
        """Number of failed attempts by cell id, from which the attempts of this plan count."""
        return self.plan.failed

    def counting_from(self, failed: Mapping[str, int]) -> PreparedSweep:
        """Return the same with these failed attempts by cell id, from which attempts count."""
        return replace(self, plan=replace(self.plan, failed=failed))

    @property
    def weights(self) -> dict[BackboneConfig, WeightsRef]:
        """Weights of the backbones."""
        return dict(self.resolved.weights)

    @property
    def memory(self) -> BatchMemory | None:
        """The memory of the largest batch; None where it is not known of any."""
        found = (
            batch_memory(config, cells, self.weights, self.calibrations, self.root.store)
            for config, cells in self.plan.largest_batches()
        )
        return max(filter(None, found), key=lambda memory: memory.needed, default=None)

    @property
    def stroke_widths(self) -> tuple[float, float] | None:
        """How many pixels one pixel of a painting becomes (`tasks.planning.strokes`)."""
        configs = [config for config, _ in self.plan.largest_batches()]
        return stroke_widths(configs, self.plan.cells.contents, self.plan.cells.styles)

    @property
    def tried_out(self) -> bool:
        """Whether the estimated time of cells rests on a short trial alone: the catalog has none like them yet."""
        rates = {rate_of(config) for config, _ in self.plan.largest_batches()}
        tried = ((self.calibrations[rate].seconds_per_cost, rate) for rate in rates & self.calibrations.keys())
        return any(self.plan.history.get(rate) == seconds for seconds, rate in tried)

    def frames(self, done: Container[str] = ()) -> tuple[int, int]:
        """Return how many frames the clips that are to be run have, all passes, and how many of them are kept.

        Args:
            done: Ids of cells that were done after the plan was made.
        """
        cells = self.plan.cells
        if not cells.has_clips:
            return 0, 0
        to_do = [
            number
            for number, cell in enumerate(cells.ids)
            if self.plan.reason(number) not in {DONE, NOT_CHOSEN} and cell not in done and cells.frames(number)
        ]
        motions = (cells.structure_config(cells.structure(number)).motion for number in to_do)
        total = sum(cells.frames(n) * getattr(m, "passes", 1) for n, m in zip(to_do, motions, strict=True))
        ids = {cells.ids[number] for number in to_do}
        kept = self.root.catalog.read("frames", ["frame_key"], where=("cell_id", ids)) if ids else ()
        return total, len(kept)

    @property
    def name(self) -> str:
        """Name of the manifest."""
        return self.plan.name

    def to_json(self) -> dict[str, Any]:
        """Return the plan, for `nst plan --json`."""
        memory, plan = self.memory, self.plan.to_json()
        remarks = [*plan["remarks"], *self.notes]
        known = memory is not None and memory.there_is < math.inf
        return {
            **plan,
            "remarks": remarks,
            "batch_memory_bytes": memory.needed if memory else None,
            "stroke_widths": self.stroke_widths,
            "device_memory_bytes": memory.there_is if memory and known else None,
            "pictures_at_one_time": memory.passes.together if memory and memory.passes else None,
            "tile_side": memory.passes.tile if memory and memory.passes else None,
        }

    def job(self, batch: Batch) -> Job:
        """Return the job of a batch."""
        config = batch.cells[0].config
        return Job(
            batch=batch,
            sweep_id=self.plan.sweep_id,
            sweep_name=self.plan.name,
            weights_uri=self.weights[config.loss_network].uri if config.loss_network else "",
            preview_every=self.plan.cells.preview_every,
        )


def prepare_sweep(
    source: ManifestSource,
    root: Root,
    *,
    inputs: str = "",
    devices: int = 1,
    confirmed: bool = False,
    listed: Listed | None = None,
) -> PreparedSweep:
    """Plan a sweep against what its root holds.

    Args:
        source: The manifest as it was read.
        root: The root.
        inputs: Folder or URI for relative inputs; "" means the manifest's own folder.
        devices: Number of devices that the estimated time is divided by.
        confirmed: Whether an estimate above the manifest's budget of hours is accepted.
        listed: The cells that alone are to be run; None for all.

    Raises:
        UserError: The manifest or an input cannot be used, the estimate exceeds the budget, or a cell that is listed
            is none of the sweep.
    """
    manifest = check_manifest(source.declaration)
    base, digests = BaseUri.of(source.uri, inputs, root.uri), Digests(root.store)
    found = find_inputs(manifest, base, digests, root.store)
    choose = ModelChoice(root, digests, base, source.folder, inputs)
    resolved = ResolvedSweep(
        uri=source.uri,
        text=source.whole,
        contents=tuple(found.contents),
        styles=tuple(found.styles),
        weights=tuple(found.weights.items()),
        starts=tuple(found.starts.items()),
        models=tuple((*numbers, model) for numbers, model in choose_models(manifest, found.styles, choose).items()),
        finishes=tuple(_choose_finishes(manifest, choose).items()),
    )
    cells = resolved.cells(manifest)
    digests.save()
    fitting = check_fitting(cells, found.content_places, found.style_places, manifest.positions)
    notes = (*source.notes, *found.notes, *fitting)
    trainings = tuple(choose.trainings.values())
    if listed:
        chosen = choose_cells(listed, cells)
        resolved = replace(resolved, only=tuple(cell for cell in cells.ids if cell in chosen))
    prepared = plan_cells(resolved, cells, manifest, source, root, trainings=trainings, notes=notes)
    if listed and trainings:
        cells_to_do = [cell for batch in prepared.plan.batches() for cell in batch.cells]
        models = {model.identity for cell in cells_to_do for model in (cell.model, cell.finish) if model}
        needed = tuple(each for each in trainings if any(spec.model_id in models for spec in each.specs))
        prepared = replace(prepared, trainings=needed)
    trained = tuple(training.resolved for training in prepared.trainings)
    prepared = replace(prepared, resolved=replace(resolved, trainings=trained))
    if not confirmed:
        _check_budget(prepared.plan, manifest.budget.hours, devices)
    return prepared


def replan(prepared: PreparedSweep) -> PreparedSweep:
    """Plan the same sweep once more, after models of its cells were trained."""
    trained = {model.model_id: model.ref for model in trained_models(prepared.root.catalog)}
    resolved, manifest = prepared.resolved.with_trained(trained), prepared.manifest
    return plan_cells(
        resolved,
        resolved.cells(manifest),
        manifest,
        prepared.source,
        prepared.root,
        trainings=prepared.trainings,
        notes=prepared.notes,
        failed=prepared.plan.failed,
    )


def plan_cells(
    resolved: ResolvedSweep,
    cells: Cells,
    manifest: Manifest,
    source: ManifestSource,
    root: Root,
    *,
    trainings: tuple[PreparedTraining, ...],
    notes: tuple[str, ...] = (),
    failed: Mapping[str, int] | None = None,
) -> PreparedSweep:
    """Plan cells against what the root holds.

    Args:
        resolved: The manifest with all its inputs.
        cells: Its cells.
        manifest: The manifest, checked.
        source: The same as it was read.
        root: The root.
        trainings: The training manifests whose models the cells run.
        notes: What is odd about the images, for people.
        failed: Number of failed attempts by cell id; None for what the catalog says now.

    Raises:
        UserError: Something lies where a folder of the root should be, or weights cannot be had.
    """
    committed = root.catalog.known("results")
    done = {cell for cell in cells.ids if cell in committed}
    failed = root.catalog.counts("failures") if failed is None else failed
    calibrations = kept_calibrations()
    history = {kind: measured.seconds_per_cost for kind, measured in calibrations.items()}
    history |= known_rates(root.catalog) if committed else {}
    known = known_versions(root.catalog, _open_addresses(cells, done)) if committed else {}
    only = None if resolved.only is None else frozenset(resolved.only)
    plan = make_plan(manifest.name, cells, done, failed=failed, known=known, history=history, only=only)
    if plan.to_do:
        check_folders(root.store, (PICTURES, THUMBNAILS))
        to_do = {config.loss_network for config, _ in plan.largest_batches()}
        needed = ((config.loss_network, path) for config, path in manifest.users())
        check_downloads(((network, path) for network, path in needed if network in to_do), manifest.positions)
    return PreparedSweep(plan, root, source, manifest, resolved, trainings, calibrations, notes)


def _choose_finishes(manifest: Manifest, choose: ModelChoice) -> dict[FinishConfig, ModelRef]:
    """Return the trained network of each last step.

    Raises:
        ManifestError: There is none, or it cannot finish pictures; with every fault at its place.
    """
    faults, found = InputFaults(manifest.positions), {}
    for finish, path in manifest.finishes().items():
        with faults.at(*path, "model"):
            found[finish] = choose.finishing(finish)
    faults.raise_any()
    return found


def _open_addresses(cells: Cells, done: Container[str]) -> frozenset[str]:
    """Return the addresses of the cells that are to be run."""
    address = cells.addresses()
    return frozenset(address(number) for number, cell in enumerate(cells.ids) if cell not in done)


def _check_budget(plan: Plan, budget_hours: float | None, devices: int) -> None:
    """Refuse a plan that takes more hours on this number of devices than its budget allows.

    Raises:
        UserError: It does.
    """
    hours = None if plan.seconds is None else plan.seconds / devices / 3600
    if hours is not None and budget_hours is not None and hours > budget_hours:
        raise UserError(
            f"the sweep is estimated at {hours:.1f} hours, its budget is {budget_hours:g}",
            hint="take fewer cells, raise budget.hours, or pass --yes",
        )
