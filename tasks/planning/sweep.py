"""From a manifest to a plan: inputs found and digested, cells with ids, minus those done. Never torch.

Everything that can be wrong with a sweep is found here, before anything starts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from nst.errors import UserError
from nst.manifest.sweep import Manifest, check_manifest
from nst.plan.batches import Plan, Rate, make_plan
from nst.plan.cells import expand
from nst.records import StyleRef
from nst.redaction import redacted
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.digests import Digests
from tasks.inputs.images import FoundImage, find_image, find_images, find_mask, image_refs, stem, unique
from tasks.jobs import Job
from tasks.layout import manifest_key
from tasks.planning.inputs import InputFaults, identify_weights
from tasks.planning.model_choice import ModelChoice
from tasks.store import Stat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nst.config.backbone import BackboneConfig
    from nst.manifest.blocks import ContentSpec, StyleSpec
    from nst.records import Batch, ImageRef
    from tasks.catalog import Catalog
    from tasks.inputs.manifest_source import ManifestSource
    from tasks.inputs.weights import WeightsRef
    from tasks.planning.training import PreparedTraining
    from tasks.root import Root

_CELLS_PER_RECORD: Final = 20_000


@dataclass(frozen=True, slots=True)
class PreparedSweep:
    """A planned sweep, with everything that running it needs.

    Attributes:
        plan: The cells in batches, those that are done subtracted.
        root: Where pictures and rows go.
        source: The manifest as it was read.
        manifest: The same, checked.
        inputs: Folder or URI for relative inputs; "" means the manifest's own folder.
        weights: Weights of the backbones.
        trainings: The training manifests whose models the cells run, trained or not.
    """

    plan: Plan
    root: Root
    source: ManifestSource
    manifest: Manifest
    inputs: str
    weights: Mapping[BackboneConfig, WeightsRef]
    trainings: tuple[PreparedTraining, ...]

    @property
    def name(self) -> str:
        """Name of the manifest."""
        return self.plan.name

    def to_json(self) -> dict[str, Any]:
        """Return the plan, for `nst plan --json`."""
        return self.plan.to_json()

    def job(self, batch: Batch) -> Job:
        """Return the job of a batch."""
        config = batch.cells[0].config
        return Job(
            batch=batch,
            sweep_id=self.plan.sweep_id,
            sweep_name=self.plan.name,
            weights_uri=self.weights[config.loss_network].uri if config.loss_network else "",
        )


def prepare_sweep(
    source: ManifestSource, root: Root, *, inputs: str = "", devices: int = 1, confirmed: bool = False
) -> PreparedSweep:
    """Plan a sweep against what its root holds.

    Args:
        source: The manifest as it was read.
        root: The root.
        inputs: Folder or URI for relative inputs; "" means the manifest's own folder.
        devices: Number of devices that the estimated time is divided by.
        confirmed: Whether an estimate above the manifest's budget of hours is accepted.

    Raises:
        UserError: The manifest or an input cannot be used, or the estimate exceeds the budget.
    """
    manifest = check_manifest(source.declaration)
    prepared = _prepare(manifest, source, root, inputs)
    if not confirmed:
        _check_budget(prepared.plan, manifest.budget.hours, devices)
    return prepared


def replan(prepared: PreparedSweep) -> PreparedSweep:
    """Plan the same manifest once more, after models of its cells were trained."""
    return _prepare(prepared.manifest, prepared.source, prepared.root, prepared.inputs)


def register_sweep(prepared: PreparedSweep) -> None:
    """Put the sweep's cells on record, and its manifest below the root; doing it again changes nothing."""
    plan, root = prepared.plan, prepared.root
    root.store.put(manifest_key(plan.name, plan.sweep_id), redacted(prepared.source.text).encode())
    common = {
        "sweep_id": plan.sweep_id,
        "sweep_name": plan.name,
        "manifest_uri": prepared.source.uri,
        "submitted_at": datetime.now(UTC),
    }
    cells = plan.cells
    for start in range(0, len(cells), _CELLS_PER_RECORD):
        rows = []
        for number in range(start, min(start + _CELLS_PER_RECORD, len(cells))):
            content, style = cells.images(number)
            names = {"content_name": content.name if content else None, "style_name": style.name if style else None}
            rows.append({"position": number, "cell_id": cells.ids[number], **names})
        root.catalog.commit("sweeps", plan.sweep_id, f"cells-{start:08d}", rows, common=common)


def _prepare(manifest: Manifest, source: ManifestSource, root: Root, inputs: str) -> PreparedSweep:
    base, digests = BaseUri.of(source.uri, inputs, root.uri), Digests(root.store)
    found = _find_inputs(manifest, base, digests)
    choose = ModelChoice(root, digests, base, source.folder, inputs)
    identities = {backbone: weights.digest for backbone, weights in found.weights.items()}
    cells = expand(manifest, found.contents, found.styles, identities, choose)
    digests.save()
    done = root.catalog.keys("results")
    known, history = _history(root.catalog) if done else ({}, {})
    failed = root.catalog.counts("failures")
    plan = make_plan(manifest.name, cells, done, failed=failed, known=known, history=history)
    return PreparedSweep(plan, root, source, manifest, inputs, found.weights, tuple(choose.trainings.values()))


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


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The inputs of a manifest, found and identified."""

    contents: list[ImageRef]
    styles: list[StyleRef]
    weights: Mapping[BackboneConfig, WeightsRef]


@dataclass(frozen=True, slots=True)
class _FoundStyle:
    """A style before its images are read: one image, or several in a mix."""

    name: str
    images: list[FoundImage]
    spec: StyleSpec


def _find_inputs(manifest: Manifest, base: BaseUri, digests: Digests) -> _Inputs:
    """Find and identify every input.

    Raises:
        ManifestError: With every fault, each where the manifest names the input.
    """
    faults = InputFaults(manifest.positions)
    contents: list[FoundImage] = []
    for index, content in enumerate(manifest.contents):
        with faults.at("contents", index):
            mask = find_mask(content.mask, base)
            stats = [None] if content.uri is None else find_images(content.uri, base)
            contents += _named(content, stats, mask)
    styles: list[_FoundStyle] = []
    for index, style in enumerate(manifest.styles):
        with faults.at("styles", index):
            styles += _find_styles(style, base)
    weights = identify_weights(manifest.backbones(), base, digests, faults)
    faults.raise_any()
    return _Inputs(image_refs(contents, digests), list(_style_refs(styles, digests)), weights)


def _named(
    spec: ContentSpec | StyleSpec, stats: Sequence[Stat | None], mask: Stat | str | None
) -> Iterator[FoundImage]:
    """Yield each image under its spec's name, numbered if there are several, or its file's stem (or its mask's)."""
    for number, stat in enumerate(stats, start=1):
        file = stat or mask
        name = stem(file.key) if isinstance(file, Stat) else "image"
        if spec.name:
            name = spec.name if len(stats) == 1 else f"{spec.name}-{number}"
        yield FoundImage(name, stat, mask)


def _find_styles(spec: StyleSpec, base: BaseUri) -> Iterator[_FoundStyle]:
    if spec.uri is not None:
        mask = find_mask(spec.mask, base)
        for image in _named(spec, find_images(spec.uri, base), mask):
            yield _FoundStyle(image.name, [image], spec)
        return
    assert spec.images is not None
    images = []
    for image_spec in spec.images:
        stat = find_image(image_spec.uri, base, "in a mix")
        images.append(FoundImage(stem(stat.key), stat, find_mask(image_spec.mask, base)))
    yield _FoundStyle(spec.name or "+".join(image.name for image in images), images, spec)


def _style_refs(styles: Sequence[_FoundStyle], digests: Digests) -> Iterator[StyleRef]:
    names = unique([style.name for style in styles])
    for name, style in zip(names, styles, strict=True):
        weights = [image.weight for image in style.spec.images] if style.spec.images else [1.0]
        shares = tuple(weight / sum(weights) for weight in weights)
        yield StyleRef(name, tuple(image_refs(style.images, digests)), shares, style.spec.mix)


def _history(catalog: Catalog) -> tuple[dict[str, int], dict[Rate, float]]:
    """Return what the catalog knows of done cells: method versions by address, and seconds per unit of cost."""
    columns = ["address", "method_version", "method", "backbone", "precision", "seconds", "cost"]
    table = catalog.read("results", columns)
    known: dict[str, int] = {}
    seconds: Counter[Rate] = Counter()
    costs: Counter[Rate] = Counter()
    for address, version, method, backbone, precision, spent, cost in zip(
        *(table.column(name).to_pylist() for name in columns), strict=True
    ):
        if address is not None:
            known[address] = max(version, known.get(address, version))
        if spent and cost:
            seconds[method, backbone or "", precision] += spent
            costs[method, backbone or "", precision] += cost
    return known, {rate: seconds[rate] / costs[rate] for rate in seconds}
