"""What a sweep or a training was resolved to when it was planned: its whole manifest, and every input with its digest.

Together they say which cells or models there are, and nothing else does: no folder is searched again, so that a file
that comes, goes or changes afterwards makes no other sweep of it. Whoever takes part in a sweep plans it from the same
record (`tasks.planning.stored`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from nst.config.backbone import BackboneConfig  # noqa: TC001  records are read with them
from nst.config.finish import FinishConfig  # noqa: TC001
from nst.config.start import StartPicture  # noqa: TC001
from nst.manifest.declaration import read_declaration
from nst.planning.cells import expand
from nst.records import ImageRef, ModelRef, StyleRef  # noqa: TC001
from tasks.inputs.manifest_source import ManifestSource
from tasks.inputs.weights import WeightsRef, packaged_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nst.manifest.sweep import Manifest
    from nst.planning.cells import Cells


@dataclass(frozen=True, slots=True)
class ResolvedTraining:
    """A training manifest and its inputs.

    Attributes:
        uri: URI or path of the manifest, as messages name it.
        text: Its YAML, with all that it extends and all changes.
        photographs: What the models learn on.
        styles: The style images.
        weights: The weights of the backbones.
        parent: The model that the trainings begin with.
    """

    uri: str
    text: str
    photographs: tuple[ImageRef, ...]
    styles: tuple[ImageRef, ...]
    weights: tuple[tuple[BackboneConfig, WeightsRef], ...]
    parent: ModelRef | None = None

    @property
    def source(self) -> ManifestSource:
        """The manifest."""
        return _source(self.uri, self.text)

    def here(self) -> ResolvedTraining:
        """Return the same with the weights of this machine's package."""
        return replace(self, weights=_weights_here(self.weights))

    def uris(self) -> Iterator[str]:
        """Yield where the inputs are read, those that the package holds left out; of some repeatedly."""
        yield from _uris_of(*self.photographs, *self.styles)
        yield from _files_of(self.weights)
        if self.parent:
            yield self.parent.uri


@dataclass(frozen=True, slots=True)
class ResolvedSweep:
    """The manifest of a sweep and its inputs.

    Attributes:
        uri: URI or path of the manifest, as messages name it.
        text: Its YAML, with all that it extends and all changes.
        contents: The contents.
        styles: The styles.
        weights: The weights of the backbones.
        starts: The pictures that optimisations start from.
        finishes: The trained networks of last steps.
        models: The trained networks of cells, by the numbers of the structure and the style.
        trainings: The training manifests whose models the cells run.
        only: Ids of the cells that somebody chose to run; None for all.
    """

    uri: str
    text: str
    contents: tuple[ImageRef, ...]
    styles: tuple[StyleRef, ...]
    weights: tuple[tuple[BackboneConfig, WeightsRef], ...]
    starts: tuple[tuple[StartPicture, ImageRef], ...] = ()
    finishes: tuple[tuple[FinishConfig, ModelRef], ...] = ()
    models: tuple[tuple[int, int, ModelRef], ...] = ()
    trainings: tuple[ResolvedTraining, ...] = ()
    only: tuple[str, ...] | None = None

    @property
    def source(self) -> ManifestSource:
        """The manifest."""
        return _source(self.uri, self.text)

    def cells(self, manifest: Manifest) -> Cells:
        """Return the cells of the sweep; errors as `nst.planning.cells.expand`."""
        return expand(
            manifest,
            self.contents,
            self.styles,
            {backbone: weights.digest for backbone, weights in self.weights},
            models={(structure, style): model for structure, style, model in self.models},
            start_pictures=dict(self.starts),
            finishes=dict(self.finishes),
        )

    def with_trained(self, trained: Mapping[str, ModelRef]) -> ResolvedSweep:
        """Return the same, with the networks that are trained now, by their ids; others stay as they are."""

        def now(model: ModelRef) -> ModelRef:
            return trained.get(model.identity, model)

        return replace(
            self,
            finishes=tuple((finish, now(model)) for finish, model in self.finishes),
            models=tuple((structure, style, now(model)) for structure, style, model in self.models),
        )

    def here(self) -> ResolvedSweep:
        """Return the same with the weights of this machine's package."""
        return replace(
            self, weights=_weights_here(self.weights), trainings=tuple(training.here() for training in self.trainings)
        )

    def uris(self) -> Iterator[str]:
        """Yield where the inputs are read, those that the package holds left out; of some repeatedly."""
        images = (image for style in self.styles for image in style.images)
        yield from _uris_of(*self.contents, *images, *(image for _, image in self.starts))
        yield from _files_of(self.weights)
        models = (*(model for _, model in self.finishes), *(model for _, _, model in self.models))
        yield from (model.uri for model in models if model.uri)
        for training in self.trainings:
            yield from training.uris()


def _source(uri: str, text: str) -> ManifestSource:
    return ManifestSource(uri, text, read_declaration(text, uri))


def _weights_here(
    weights: tuple[tuple[BackboneConfig, WeightsRef], ...],
) -> tuple[tuple[BackboneConfig, WeightsRef], ...]:
    """Return the same weights; those of the package lie in another place on each machine."""
    return tuple(
        (backbone, replace(found, uri=packaged_uri(backbone)) if backbone.distilled else found)
        for backbone, found in weights
    )


def _files_of(weights: tuple[tuple[BackboneConfig, WeightsRef], ...]) -> Iterator[str]:
    """Yield where files of weights lie, those of the package left out: every machine has its own."""
    no_files = ("random", "torchvision")
    yield from (found.uri for backbone, found in weights if not backbone.distilled and found.uri not in no_files)


def _uris_of(*images: ImageRef) -> Iterator[str]:
    for image in images:
        if image.clip and image.clip.stills:
            yield from (still.link or still.uri for still in image.clip.stills)
        elif image.uri and not image.fault:
            yield image.link or image.uri
        if image.mask and not image.mask.is_color and not image.mask.fault:
            yield image.mask.link or image.mask.uri


def digests_of(record: Any) -> Iterator[tuple[str, str]]:
    """Yield where each input within a record lies, with the digest of its bytes."""
    if isinstance(record, tuple):
        for each in record:
            yield from digests_of(each)
    elif is_dataclass(record):
        uri, digest = getattr(record, "uri", None), getattr(record, "digest", None)
        if uri and digest:
            yield uri, digest
        for each in fields(record):
            yield from digests_of(getattr(record, each.name))
