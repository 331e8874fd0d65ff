"""From the URI of a manifest to a plan: text read, inputs found and digested, what is done subtracted. Never torch.

Everything that can be wrong with a sweep is found here, before anything starts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from nst.errors import InputError, ManifestError, UserError
from nst.manifest.sweep import Manifest, parse_manifest
from nst.plan.batches import Plan, Rate, make_plan
from nst.plan.cells import expand
from nst.records import StyleRef
from tasks.catalog import Catalog
from tasks.inputs.digests import Base, Digests, find_images, weights_digest, weights_uri
from tasks.inputs.images import Found, find_mask, find_one, image_refs
from tasks.inputs.manifest_text import read_text, stem, unique
from tasks.jobs import Job
from tasks.planning.model_choice import ModelChoice
from tasks.store import Stat, Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nst.config.backbone import BackboneConfig
    from nst.errors import Problem
    from nst.manifest.blocks import ContentSpec, StyleSpec
    from nst.records import Batch, ImageRef
    from tasks.planning.training import PreparedTraining

_CELLS_PER_RECORD: Final = 20_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with all that running it needs."""

    plan: Plan
    store: Store
    catalog: Catalog
    manifest_uri: str
    manifest_text: str
    weights_uris: Mapping[BackboneConfig, str]
    trainings: tuple[PreparedTraining, ...] = ()
    """Whose models the cells run, trained or not."""
    again: Callable[[], Prepared] = field(kw_only=True, repr=False)
    """Plans once more, when models were trained in the meantime."""

    def job(self, batch: Batch) -> Job:
        """Return the job of a batch."""
        config = batch.cells[0].config
        return Job(
            batch=batch,
            root=self.store.uri,
            sweep_id=self.plan.sweep_id,
            sweep_name=self.plan.name,
            weights_uri=self.weights_uris[config.loss_network] if config.loss_network else "",
        )


def prepare(
    manifest_uri: str, root: str, *, inputs: str = "", devices: int = 1, confirmed: bool = False, single: bool = False
) -> Prepared:
    """Plan a sweep against what its root holds.

    Args:
        manifest_uri: URI or path of the manifest.
        root: URI or path of the root.
        inputs: Folder or URI for relative inputs; "" means the manifest's own folder.
        devices: Number of devices that the estimate is shared by.
        confirmed: Whether more hours than the budget are accepted.
        single: Whether the root's store lacks create-only writes (`tasks.store.probe`).

    Raises:
        UserError: The manifest or an input cannot be used, or the estimate exceeds the budget.
    """
    store = open_store(root)
    catalog = Catalog(store, single_publisher=single)
    text = read_text(manifest_uri)
    base = Base.of(manifest_uri, inputs)
    beside = Base.of(manifest_uri, "")
    manifest = parse_manifest(text, manifest_uri, lambda uri: read_text(beside.join(uri)))
    digests = Digests(store)
    contents, styles, weights = _resolve(manifest, base, digests)
    uris = {backbone: uri for backbone, (uri, _) in weights.items()}
    choose = ModelChoice(catalog, digests, base, beside, inputs)
    cells = expand(manifest, contents, styles, {key: digest for key, (_, digest) in weights.items()}, choose)
    digests.save()
    done = catalog.keys("results")
    known, history = _learn(catalog) if done else ({}, {})
    failed = catalog.counts("failures")
    plan = make_plan(manifest.name, cells, done, failed=failed, known=known, history=history)
    hours = None if plan.seconds is None else plan.seconds / devices / 3600
    if hours is not None and manifest.budget.hours is not None and hours > manifest.budget.hours and not confirmed:
        raise UserError(
            f"the sweep is estimated at {hours:.1f} hours, its budget is {manifest.budget.hours:g}",
            hint="take fewer cells, raise budget.hours, or pass --yes",
        )
    again = partial(prepare, manifest_uri, root, inputs=inputs, devices=devices, confirmed=True, single=single)
    trainings = tuple(choose.trainings.values())
    return Prepared(plan, store, catalog, manifest_uri, text, uris, trainings, again=again)


def register(prepared: Prepared) -> None:
    """Put the sweep's cells on record, and its manifest beside them; doing it again changes nothing."""
    plan = prepared.plan
    prepared.store.put(f"manifests/{plan.name}-{plan.sweep_id}.yaml", prepared.manifest_text.encode())
    common = {
        "sweep_id": plan.sweep_id,
        "sweep_name": plan.name,
        "manifest_uri": prepared.manifest_uri,
        "submitted_at": datetime.now(UTC),
    }
    cells = plan.cells
    for start in range(0, len(cells), _CELLS_PER_RECORD):
        rows = []
        for number in range(start, min(start + _CELLS_PER_RECORD, len(cells))):
            content, style = cells.images(number)
            names = {"content_name": content.name if content else None, "style_name": style.name if style else None}
            rows.append({"position": number, "cell_id": cells.ids[number], **names})
        prepared.catalog.commit("sweeps", plan.sweep_id, f"cells-{start:08d}", rows, common=common)


def _resolve(
    manifest: Manifest, base: Base, digests: Digests
) -> tuple[list[ImageRef], list[StyleRef], dict[BackboneConfig, tuple[str, str]]]:
    """Find and identify every input; what is wrong is reported all at once, where the manifest names it."""
    problems: list[Problem] = []

    def report(path: tuple[str | int, ...], error: InputError) -> None:
        problems.append(manifest.positions.problem(path, error.message, error.hint))

    contents: list[Found] = []
    for index, content in enumerate(manifest.contents):
        try:
            mask = find_mask(content.mask, base)
            stats = [None] if content.uri is None else find_images(content.uri, base)
            contents += [Found(name, stat, mask) for name, stat in _named(content, stats, mask)]
        except InputError as error:
            report(("contents", index), error)
    styles: list[tuple[str, list[Found], StyleSpec]] = []
    for index, style in enumerate(manifest.styles):
        try:
            styles += _styles(style, base)
        except InputError as error:
            report(("styles", index), error)
    weights: dict[BackboneConfig, tuple[str, str]] = {}
    for backbone, path in manifest.backbones().items():
        try:
            uri = weights_uri(backbone, base)
            weights[backbone] = (uri, weights_digest(backbone, uri, digests))
        except InputError as error:
            report((*path, "weights"), error)
    if problems:
        raise ManifestError(tuple(problems))
    return image_refs(contents, digests), list(_style_refs(styles, digests)), weights


def _named(
    spec: ContentSpec | StyleSpec, stats: Sequence[Stat | None], mask: Stat | str | None
) -> list[tuple[str, Stat | None]]:
    """Return each image under its spec's name, numbered if there are several, or its file's stem (or its mask's)."""
    if spec.name and len(stats) == 1:
        return [(spec.name, stats[0])]
    stems = [stem(found.key) if isinstance(found := stat or mask, Stat) else "image" for stat in stats]
    return [(f"{spec.name}-{n}" if spec.name else stems[n - 1], stat) for n, stat in enumerate(stats, start=1)]


def _styles(spec: StyleSpec, base: Base) -> list[tuple[str, list[Found], StyleSpec]]:
    if spec.uri is not None:
        mask = find_mask(spec.mask, base)
        named = _named(spec, find_images(spec.uri, base), mask)
        return [(name, [Found(name, stat, mask)], spec) for name, stat in named]
    assert spec.images is not None
    images = []
    for image in spec.images:
        stat = find_one(image.uri, base, "in a mix")
        images.append(Found(stem(stat.key), stat, find_mask(image.mask, base)))
    name = spec.name or "+".join(image.name for image in images)
    return [(name, images, spec)]


def _style_refs(styles: Sequence[tuple[str, list[Found], StyleSpec]], digests: Digests) -> Iterator[StyleRef]:
    names = unique([name for name, _, _ in styles])
    for name, (_, found, spec) in zip(names, styles, strict=True):
        shares = [image.weight for image in spec.images] if spec.images else [1.0]
        images = image_refs(found, digests)
        yield StyleRef(name, tuple(images), tuple(share / sum(shares) for share in shares), spec.mix)


def _learn(catalog: Catalog) -> tuple[dict[str, int], dict[Rate, float]]:
    """Return what the catalog knows: method versions by address, and seconds per unit of cost."""
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
