"""From the URI of a training manifest to models with ids, minus those that are trained already. Never torch.

Everything that can be wrong with a training manifest is found here, before anything starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nst.errors import InputError, ManifestError, UserError
from nst.identity import hex_of
from nst.manifest.declaration import read_declaration
from nst.manifest.training import TrainManifest, parse_train_manifest
from nst.plan.models import ModelSpec, data_digest, models_of
from tasks.catalog import Catalog
from tasks.inputs.digests import Base, Digests, find_images, weights_digest, weights_uri
from tasks.inputs.images import Found, find_mask, image_refs
from tasks.inputs.manifest_text import read_text, stem
from tasks.inputs.uris import stat_uri
from tasks.jobs import TrainingJob
from tasks.models.choose import METHOD, find_model, trained_models
from tasks.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nst.config.backbone import BackboneConfig
    from nst.errors import Problem
    from nst.records import ImageRef


@dataclass(frozen=True, slots=True)
class PreparedTraining:
    """What a training manifest asks for, and what of it is there."""

    name: str
    store: Store
    catalog: Catalog
    manifest_uri: str
    manifest_text: str
    specs: tuple[ModelSpec, ...]
    photographs: tuple[ImageRef, ...]
    trained: frozenset[str]
    """Ids of the models that are trained already."""
    failed: Mapping[str, int]
    """Failed attempts by id."""
    weights_uris: Mapping[BackboneConfig, str]
    parent_uri: str

    @property
    def to_do(self) -> list[ModelSpec]:
        """The models that are to be trained, each once."""
        return [spec for spec in self.specs if spec.model_id not in self.trained]

    def state(self, spec: ModelSpec) -> str:
        """Return what is known of a model: trained, begun, failed before, or new."""
        if spec.model_id in self.trained:
            return "trained"
        found = self.store.list(f"state/trainings/{spec.model_id}/checkpoint-")
        if found:
            return f"begun, {int(found[-1].key.split('-')[-2]):,} steps done"
        return "failed before" if spec.model_id in self.failed else "new"

    def job(self, spec: ModelSpec) -> TrainingJob:
        """Return the job of a model."""
        return TrainingJob(
            spec,
            self.photographs if spec.config.photographs else (),
            self.weights_uris[spec.config.backbone],
            self.parent_uri,
            attempt=1 + self.failed.get(spec.model_id, 0),
        )


def kind_of(manifest_uri: str) -> Literal["sweep", "train"]:
    """Return what a manifest declares.

    Raises:
        UserError: It cannot be read.
    """
    beside = Base.of(manifest_uri, "")
    return read_declaration(read_text(manifest_uri), manifest_uri, lambda uri: read_text(beside.join(uri))).kind


def prepare_training(manifest_uri: str, root: str, *, inputs: str = "", single: bool = False) -> PreparedTraining:
    """Plan a training against what its root holds; arguments as `tasks.planning.sweep.prepare`.

    Raises:
        UserError: The manifest or an input cannot be used.
    """
    store = open_store(root)
    catalog = Catalog(store, single_publisher=single)
    text = read_text(manifest_uri)
    base, beside = Base.of(manifest_uri, inputs), Base.of(manifest_uri, "")
    manifest = parse_train_manifest(text, manifest_uri, lambda uri: read_text(beside.join(uri)))
    digests = Digests(store)
    resolved = _Resolver(manifest, base, digests, catalog).resolve()
    digests.save()
    attempts = catalog.read("failures", ["model_id", "method"]).to_pylist()
    failed: dict[str, int] = {}
    for row in attempts:
        if row["method"] == METHOD:
            failed[row["model_id"]] = failed.get(row["model_id"], 0) + 1
    return PreparedTraining(
        manifest.name, store, catalog, manifest_uri, text, resolved.specs, resolved.photographs,
        frozenset(catalog.keys("models", "model_id")), failed, resolved.weights_uris, resolved.parent[1],
    )  # fmt: skip


class _Resolver:
    """Finds and identifies every input; what is wrong is reported all at once, where the manifest names it."""

    def __init__(self, manifest: TrainManifest, base: Base, digests: Digests, catalog: Catalog) -> None:
        self.manifest, self.base, self.digests, self.catalog = manifest, base, digests, catalog
        self.problems: list[Problem] = []
        self.specs: tuple[ModelSpec, ...] = ()
        self.photographs: tuple[ImageRef, ...] = ()
        self.weights_uris: dict[BackboneConfig, str] = {}
        self.parent = ("", "")
        """Identity and URI."""

    def resolve(self) -> _Resolver:
        manifest = self.manifest
        photographs = self._find("photographs", [(uri, None, None) for uri in manifest.photographs])
        styles = self._find("styles", [(style.uri, style.name, style.mask) for style in manifest.styles])
        weights = self._weights()
        try:
            self.parent = self._parent()
        except InputError as error:
            self._report(("parent",), error)
        if self.problems:
            raise ManifestError(tuple(self.problems))
        self.photographs = tuple(image_refs(photographs, self.digests))
        data = data_digest(ref.digest for ref in self.photographs)
        refs = image_refs(styles, self.digests)
        specs = [
            spec
            for config in manifest.configs
            for spec in models_of(
                manifest.name, config, refs, data=data, weights_digest=weights[config.backbone], parent=self.parent[0]
            )
        ]
        self.specs = tuple({spec.model_id: spec for spec in specs}.values())
        return self

    def _find(self, key: str, wanted: Sequence[tuple[str, str | None, str | None]]) -> list[Found]:
        """Return the images of URIs, each with its name and its mask, if it has them."""
        found = []
        for index, (uri, name, mask) in enumerate(wanted):
            try:
                stats, over = find_images(uri, self.base), find_mask(mask, self.base)
            except InputError as error:
                self._report((key, index), error)
            else:
                found += [Found(name if name and len(stats) == 1 else stem(stat.key), stat, over) for stat in stats]
        return found

    def _weights(self) -> dict[BackboneConfig, str]:
        digests = {}
        for backbone in dict.fromkeys(config.backbone for config in self.manifest.configs):
            try:
                uri = weights_uri(backbone, self.base)
                digests[backbone] = weights_digest(backbone, uri, self.digests)
                self.weights_uris[backbone] = uri
            except InputError as error:
                self._report(("training", "backbone", "weights"), error)
        return digests

    def _parent(self) -> tuple[str, str]:
        wanted = self.manifest.parent
        if not wanted:
            return "", ""
        if wanted.endswith(".safetensors"):
            uri = self.base.join(wanted)
            return f"sha256-{self.digests.of([stat_uri(uri)])[0]}", uri
        model = find_model(trained_models(self.catalog), wanted)
        return model.model_id, model.weights_uri

    def _report(self, path: tuple[str | int, ...], error: UserError) -> None:
        self.problems.append(self.manifest.positions.problem(path, error.message, error.hint))


def register_training(prepared: PreparedTraining) -> None:
    """Keep the manifest below the root, beside those of the sweeps."""
    training_id = hex_of((prepared.name, "\n", *(spec.model_id for spec in prepared.specs)), size=8)
    prepared.store.put(f"manifests/{prepared.name}-{training_id}.yaml", prepared.manifest_text.encode())
