"""From a training manifest to models with ids, minus those that are trained already. Never torch.

Everything that can be wrong with a training manifest is found here, before anything starts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from nst.identity import hex_of
from nst.manifest.training import TrainManifest, check_train_manifest
from nst.planning.models import ModelSpec, data_digest, models_of
from nst.redaction import redacted
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.digests import Digests
from tasks.inputs.images import FoundImage, find_images, find_mask, image_refs, stem
from tasks.jobs import TrainingJob
from tasks.layout import checkpoints, manifest_key, parse_checkpoint_key
from tasks.models.choose import TRAINING_METHOD, find_model, model_file, trained_models
from tasks.planning.inputs import InputFaults, check_downloads, identify_weights
from tasks.planning.resolved import ResolvedTraining

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nst.config.backbone import BackboneConfig
    from nst.records import ModelRef
    from tasks.catalog import Catalog
    from tasks.inputs.manifest_source import ManifestSource
    from tasks.inputs.weights import WeightsRef
    from tasks.root import Root


@dataclass(frozen=True, slots=True)
class PreparedTraining:
    """A planned training manifest, with everything that running it needs.

    Attributes:
        name: Name of the manifest.
        root: Where models, checkpoints and rows go.
        source: The manifest as it was read.
        specs: The models that it declares, each once.
        resolved: The manifest with all its inputs, which the models follow from.
        trained: Ids of the models that are trained already.
        failed: Failed attempts by model id.
    """

    name: str
    root: Root
    source: ManifestSource
    specs: tuple[ModelSpec, ...]
    resolved: ResolvedTraining
    trained: frozenset[str]
    failed: Mapping[str, int]

    @property
    def identity(self) -> str:
        """Id of the manifest with these models."""
        return hex_of((self.name, "\n", *(spec.model_id for spec in self.specs)), size=8)

    scope: ClassVar[str] = ""
    """All models of the manifest are trained."""

    @property
    def ids(self) -> list[str]:
        """Ids of all models."""
        return [spec.model_id for spec in self.specs]

    def counting_from(self, failed: Mapping[str, int]) -> PreparedTraining:
        """Return the same with these failed attempts by model id, from which attempts count."""
        return replace(self, failed=failed)

    @property
    def weights(self) -> dict[BackboneConfig, WeightsRef]:
        """Weights of the backbones."""
        return dict(self.resolved.weights)

    @property
    def to_do(self) -> list[ModelSpec]:
        """The models that are not trained yet."""
        return [spec for spec in self.specs if spec.model_id not in self.trained]

    def state(self, spec: ModelSpec) -> str:
        """Return what is known of a model: trained, begun, failed before, or new."""
        if spec.model_id in self.trained:
            return "trained"
        keys = (parse_checkpoint_key(stat.key) for stat in self.root.store.list(checkpoints(spec.model_id)))
        if steps := max((key.steps for key in keys if key), default=0):
            return f"begun, {steps:,} steps done"
        return "failed before" if spec.model_id in self.failed else "new"

    def to_json(self) -> dict[str, Any]:
        """Return the plan, for `nst plan --json`."""
        models = [
            {
                "model_id": spec.model_id,
                "family": spec.config.family,
                "styles": [style.name for style in spec.styles],
                "steps": spec.config.steps,
                "state": self.state(spec),
                "config": spec.config.model_dump(mode="json"),
            }
            for spec in self.specs
        ]
        return {"name": self.name, "photographs": len(self.resolved.photographs), "models": models}

    def job(self, spec: ModelSpec) -> TrainingJob:
        """Return the job of a model."""
        return TrainingJob(
            spec,
            self.resolved.photographs if spec.config.photographs else (),
            self.weights[spec.config.backbone].uri,
            self.resolved.parent,
            attempt=1 + self.failed.get(spec.model_id, 0),
        )


def prepare_training(source: ManifestSource, root: Root, *, inputs: str = "") -> PreparedTraining:
    """Plan a training manifest against what its root holds.

    Args:
        source: The manifest as it was read.
        root: The root.
        inputs: Folder or URI for relative inputs; "" means the manifest's own folder.

    Raises:
        UserError: The manifest or an input cannot be used.
    """
    manifest = check_train_manifest(source.declaration)
    digests = Digests(root.store)
    found = _find_inputs(manifest, source, BaseUri.of(source.uri, inputs, root.uri), digests, root)
    digests.save()
    return plan_models(found, manifest, source, root)


def plan_models(
    resolved: ResolvedTraining,
    manifest: TrainManifest,
    source: ManifestSource,
    root: Root,
    *,
    failed: Mapping[str, int] | None = None,
) -> PreparedTraining:
    """Plan the models of a training manifest against what its root holds.

    Args:
        resolved: The manifest with all its inputs.
        manifest: The manifest, checked.
        source: The same as it was read.
        root: The root.
        failed: Failed attempts by model id; None for what the catalog says now.

    Raises:
        UserError: Weights cannot be had.
    """
    specs = declared_models(manifest, resolved)
    trained = frozenset(root.catalog.keys("models", "model_id"))
    to_do = ((spec.config.backbone, ("training",)) for spec in specs if spec.model_id not in trained)
    check_downloads(to_do, manifest.positions)
    return PreparedTraining(
        name=manifest.name,
        root=root,
        source=source,
        specs=specs,
        resolved=resolved,
        trained=trained,
        failed=failed_attempts(root.catalog) if failed is None else failed,
    )


def register_training(prepared: PreparedTraining) -> None:
    """Keep the text of the manifest below the root; doing it again changes nothing."""
    text = redacted(prepared.source.text)
    prepared.root.store.put(manifest_key(prepared.name, prepared.identity), text.encode())


def _find_inputs(
    manifest: TrainManifest, source: ManifestSource, base: BaseUri, digests: Digests, root: Root
) -> ResolvedTraining:
    """Find and identify every input.

    Raises:
        ManifestError: With every fault, each where the manifest names the input.
    """
    faults = InputFaults(manifest.positions)
    photographs = _find_images("photographs", [(uri, None, None) for uri in manifest.photographs], base, faults)
    styles = _find_images("styles", [(style.uri, style.name, style.mask) for style in manifest.styles], base, faults)
    users = ((config, ("training",)) for config in manifest.configs)
    weights = identify_weights(users, base, digests, faults, root.store)
    parent = None
    with faults.at("parent"):
        parent = _find_parent(manifest.parent, base, digests, root.catalog)
    faults.raise_any()
    return ResolvedTraining(
        uri=source.uri,
        text=source.whole,
        photographs=tuple(image_refs(photographs, digests)),
        styles=tuple(image_refs(styles, digests)),
        weights=tuple(weights.items()),
        parent=parent,
    )


def _find_images(
    key: str, wanted: Sequence[tuple[str, str | None, str | None]], base: BaseUri, faults: InputFaults
) -> list[FoundImage]:
    """Return the images of each (URI, name, mask) that the manifest has below `key`."""
    images = []
    for index, (uri, name, mask) in enumerate(wanted):
        with faults.at(key, index):
            stats, found_mask = find_images(uri, base), find_mask(mask, base)
            names = [name if name and len(stats) == 1 else stem(stat.key) for stat in stats]
            images += [FoundImage(*named, found_mask) for named in zip(names, stats, strict=True)]
    return images


def _find_parent(wanted: str, base: BaseUri, digests: Digests, catalog: Catalog) -> ModelRef | None:
    if not wanted:
        return None
    if wanted.endswith(".safetensors"):
        return model_file(base.join(wanted), digests)
    return find_model(trained_models(catalog), wanted).ref


def declared_models(manifest: TrainManifest, found: ResolvedTraining) -> tuple[ModelSpec, ...]:
    """Return the models that a manifest declares; equal ones are one model."""
    data = data_digest(ref.digest for ref in found.photographs)
    parent, weights = found.parent.identity if found.parent else "", dict(found.weights)
    specs = {}
    for config in manifest.configs:
        weights_digest = weights[config.backbone].digest
        for spec in models_of(
            manifest.name, config, found.styles, data=data, weights_digest=weights_digest, parent=parent
        ):
            specs[spec.model_id] = spec
    return tuple(specs.values())


def failed_attempts(catalog: Catalog) -> Counter[str]:
    """Return how many trainings of each model failed."""
    rows = catalog.read("failures", ["model_id", "method"]).to_pylist()
    return Counter(row["model_id"] for row in rows if row["method"] == TRAINING_METHOD)
