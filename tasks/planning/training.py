"""From a training manifest to models with ids, minus those that are trained already. Never torch.

Everything that can be wrong with a training manifest is found here, before anything starts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nst.config.backbone import BackboneConfig
    from nst.records import ImageRef, ModelRef
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
        photographs: What the models learn on.
        trained: Ids of the models that are trained already.
        failed: Failed attempts by model id.
        weights: Weights of the backbones.
        parent: The model that the trainings begin with.
    """

    name: str
    root: Root
    source: ManifestSource
    specs: tuple[ModelSpec, ...]
    photographs: tuple[ImageRef, ...]
    trained: frozenset[str]
    failed: Mapping[str, int]
    weights: Mapping[BackboneConfig, WeightsRef]
    parent: ModelRef | None

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
        return {"name": self.name, "photographs": len(self.photographs), "models": models}

    def job(self, spec: ModelSpec) -> TrainingJob:
        """Return the job of a model."""
        return TrainingJob(
            spec,
            self.photographs if spec.config.photographs else (),
            self.weights[spec.config.backbone].uri,
            self.parent,
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
    found = _find_inputs(manifest, BaseUri.of(source.uri, inputs, root.uri), digests, root)
    digests.save()
    specs, trained = _declared_models(manifest, found), frozenset(root.catalog.keys("models", "model_id"))
    to_do = ((spec.config.backbone, ("training",)) for spec in specs if spec.model_id not in trained)
    check_downloads(to_do, manifest.positions)
    return PreparedTraining(
        name=manifest.name,
        root=root,
        source=source,
        specs=specs,
        photographs=tuple(found.photographs),
        trained=trained,
        failed=_failed_attempts(root.catalog),
        weights=found.weights,
        parent=found.parent,
    )


def register_training(prepared: PreparedTraining) -> None:
    """Keep the text of the manifest below the root; doing it again changes nothing."""
    identity = hex_of((prepared.name, "\n", *(spec.model_id for spec in prepared.specs)), size=8)
    prepared.root.store.put(manifest_key(prepared.name, identity), redacted(prepared.source.text).encode())


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The inputs of a training manifest, found and identified."""

    photographs: list[ImageRef]
    styles: list[ImageRef]
    weights: Mapping[BackboneConfig, WeightsRef]
    parent: ModelRef | None


def _find_inputs(manifest: TrainManifest, base: BaseUri, digests: Digests, root: Root) -> _Inputs:
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
    return _Inputs(image_refs(photographs, digests), image_refs(styles, digests), weights, parent)


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


def _declared_models(manifest: TrainManifest, found: _Inputs) -> tuple[ModelSpec, ...]:
    """Return the models that a manifest declares; equal ones are one model."""
    data = data_digest(ref.digest for ref in found.photographs)
    parent = found.parent.identity if found.parent else ""
    specs = {}
    for config in manifest.configs:
        weights_digest = found.weights[config.backbone].digest
        for spec in models_of(
            manifest.name, config, found.styles, data=data, weights_digest=weights_digest, parent=parent
        ):
            specs[spec.model_id] = spec
    return tuple(specs.values())


def _failed_attempts(catalog: Catalog) -> Counter[str]:
    """Return how many trainings of each model failed."""
    rows = catalog.read("failures", ["model_id", "method"]).to_pylist()
    return Counter(row["model_id"] for row in rows if row["method"] == TRAINING_METHOD)
