"""Which trained network each cell of a `feedforward` sweep runs: by id, by file, the latest, or of a training manifest.

A network of a training manifest has its id before it is trained, so that a sweep is planned first and trains then.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from nst.config.feedforward import FeedforwardConfig
from nst.errors import InputError, ManifestError
from nst.records import ModelRef
from tasks.inputs.uris import stat_uri
from tasks.models.choose import find_model, latest_model, trained_models
from tasks.planning.training import PreparedTraining, prepare_training

if TYPE_CHECKING:
    from nst.config.method import Method
    from nst.records import StyleRef
    from tasks.catalog import Catalog
    from tasks.inputs.digests import Base, Digests
    from tasks.models.choose import TrainedModel


class ModelChoice:
    """Chooses networks, and knows the training manifests that were named.

    Args:
        catalog: Whose models may be chosen.
        digests: Of files.
        base: What relative URIs of models are relative to.
        beside: What relative training manifests are relative to: the sweep's own folder.
        inputs: Folder or URI for the relative inputs of training manifests; "" means their own folders.
    """

    def __init__(self, catalog: Catalog, digests: Digests, base: Base, beside: Base, inputs: str) -> None:
        self._catalog, self._digests, self._base, self._beside, self._inputs = catalog, digests, base, beside, inputs
        self.trainings: dict[str, PreparedTraining] = {}
        """By URI as the sweep names them."""

    @cached_property
    def _models(self) -> list[TrainedModel]:
        return trained_models(self._catalog)

    def __call__(self, config: Method, style: StyleRef | None) -> ModelRef:
        """Return the network of a cell.

        Raises:
            InputError: There is none, or several may be meant.
            ManifestError: The training manifest has problems.
        """
        assert isinstance(config, FeedforwardConfig), "no other method runs a network"
        wanted = [image.digest for image in style.images] if style else []
        try:
            if config.from_manifest:
                return self._of_manifest(config, wanted)
            if config.by_style:
                return _ref(latest_model(self._models, config.family, wanted))
        except ManifestError:
            raise
        except InputError as error:
            where = f"style {style.name}: " if style else ""
            raise InputError(f"{where}{error.message}", hint=error.hint) from error
        if config.model.endswith(".safetensors"):
            uri = self._base.join(config.model)
            digest = self._digests.of([stat_uri(uri)])[0]
            return ModelRef(f"sha256-{digest}", uri, digest)
        model = find_model(self._models, config.model)
        if model.family != config.family:
            raise InputError(
                f"model {model.model_id[:8]} is {model.family}, expected {config.family}",
                hint=f"write family: {model.family}",
            )
        return _ref(model)

    def _of_manifest(self, config: FeedforwardConfig, wanted: list[str]) -> ModelRef:
        training = self.trainings.get(config.model)
        if training is None:
            uri = self._beside.join(config.model).removeprefix("file://")
            single = self._catalog.single_publisher
            training = prepare_training(uri, self._catalog.store.uri, inputs=self._inputs, single=single)
            self.trainings[config.model] = training
        any_style = config.network.KNOWS == "any"
        found = [
            spec
            for spec in training.specs
            if spec.config.family == config.family
            and (any_style or set(wanted) <= {style.digest for style in spec.styles})
        ]
        if len(found) != 1:
            families = ", ".join(sorted({spec.config.family for spec in training.specs}))
            hint = f"{training.name} makes {len(training.specs)} models of {families}"
            raise InputError(f"{len(found)} of its {config.family} models know this style, expected one", hint=hint)
        model = next((model for model in self._models if model.model_id == found[0].model_id), None)
        return _ref(model) if model else ModelRef(found[0].model_id)


def _ref(model: TrainedModel) -> ModelRef:
    return ModelRef(model.model_id, model.weights_uri, model.weights_digest)
