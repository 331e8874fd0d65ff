"""Which trained network each cell of a `feedforward` sweep runs: by id, by file, the latest, or of a training manifest.

A network of a training manifest has its id before it is trained, so that a sweep is planned first and trains then.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from nst.config.feedforward import FeedforwardConfig
from nst.config.finish import LATEST
from nst.config.training import refuse_to_finish, refuse_to_paint
from nst.errors import InputError, ManifestError
from nst.records import ModelRef
from tasks.inputs.manifest_source import read_manifest
from tasks.models.choose import find_model, latest_model, model_file, trained_models
from tasks.models.trained_style import family_of_file, style_of_file
from tasks.planning.training import PreparedTraining, prepare_training

if TYPE_CHECKING:
    from nst.config.finish import FinishConfig
    from nst.config.method import Method
    from nst.planning.models import ModelSpec
    from nst.records import StyleRef
    from tasks.inputs.base_uri import BaseUri
    from tasks.inputs.digests import Digests
    from tasks.models.choose import TrainedModel
    from tasks.root import Root


class ModelChoice:
    """Chooses networks, and plans the training manifests that cells name.

    Args:
        root: The root whose models may be chosen.
        digests: Digests of files.
        base: What relative URIs of model files are relative to.
        manifest_folder: What relative URIs of training manifests are relative to: the sweep manifest's own folder.
        inputs: Folder or URI for the relative inputs of training manifests; "" means their own folders.

    Attributes:
        trainings: The planned training manifests, by the URI that the sweep gives.
    """

    def __init__(self, root: Root, digests: Digests, base: BaseUri, manifest_folder: BaseUri, inputs: str) -> None:
        self._root, self._digests = root, digests
        self._base, self._manifest_folder, self._inputs = base, manifest_folder, inputs
        self.trainings: dict[str, PreparedTraining] = {}

    @cached_property
    def _models(self) -> list[TrainedModel]:
        return trained_models(self._root.catalog)

    def __call__(self, config: Method, style: StyleRef | None) -> ModelRef:
        """Return the network of a cell.

        Raises:
            InputError: No model fits, or several do.
            ManifestError: The training manifest has problems.
        """
        assert isinstance(config, FeedforwardConfig), "no other method runs a network"
        style_digests = [image.digest for image in style.images] if style else []
        try:
            if config.from_manifest:
                return self._of_manifest(config, style_digests)
            if config.by_style:
                return latest_model(self._models, config.family, style_digests).ref
        except ManifestError:
            raise
        except InputError as error:
            where = f"style {style.name}: " if style else ""
            raise InputError(f"{where}{error.message}", hint=error.hint) from error
        if config.model.endswith(".safetensors"):
            model = model_file(self._base.join(config.model), self._digests)
            style = style_of_file(model.uri, model.digest, self._root.store, self._base.bounds)
            return replace(model, style=style)
        found = find_model(self._models, config.model)
        refuse_to_paint(found.family)
        if found.family != config.family:
            raise InputError(
                f"model {found.model_id[:8]} is {found.family}, expected {config.family}",
                hint=f"write family: {found.family}",
            )
        return found.ref

    def finishing(self, finish: FinishConfig) -> ModelRef:
        """Return the network of a last step, which takes a picture without a style.

        Raises:
            InputError: No model fits, or its family needs more than a picture.
            ManifestError: The training manifest has problems.
        """
        if finish.from_manifest:
            training = self._training(finish.model)
            if len(training.specs) != 1:
                raise InputError(f"{training.name} makes {len(training.specs)} models, expected one for a finish")
            (spec,) = training.specs
            refuse_to_finish(spec.config.family)
            if not spec.config.photographs:
                raise InputError(f"{training.name} makes pictures from noise alone, and a finish gives it a picture")
            return self._of_spec(spec)
        if finish.model.endswith(".safetensors"):
            model = model_file(self._base.join(finish.model), self._digests)
            if family := family_of_file(model.uri, model.digest, self._root.store):
                refuse_to_finish(family)
            return model
        if finish.model == LATEST:
            return latest_model(self._models, "super_resolution", []).ref
        found = find_model(self._models, finish.model)
        refuse_to_finish(found.family)
        return found.ref

    def _of_manifest(self, config: FeedforwardConfig, style_digests: list[str]) -> ModelRef:
        """Return the model of a training manifest that knows these styles, trained or not."""
        training = self._training(config.model)
        any_style = config.network.KNOWS == "any"
        found = [
            spec
            for spec in training.specs
            if spec.config.family == config.family
            and (any_style or set(style_digests) <= {style.digest for style in spec.styles})
        ]
        if len(found) != 1:
            families = ", ".join(sorted({spec.config.family for spec in training.specs}))
            hint = f"{training.name} makes {len(training.specs)} models of {families}"
            do = "know this style" if style_digests else "fit"
            raise InputError(f"{len(found)} of its {config.family} models {do}, expected one", hint=hint)
        return self._of_spec(found[0])

    def _training(self, manifest: str) -> PreparedTraining:
        """Return the planned training of a manifest."""
        training = self.trainings.get(manifest)
        if training is None:
            folder = self._manifest_folder
            uri = folder.join_manifest(manifest).removeprefix("file://")
            source = read_manifest(uri, is_confined=folder.is_confined)
            training = prepare_training(source, self._root, inputs=self._inputs)
            self.trainings[manifest] = training
        return training

    def _of_spec(self, spec: ModelSpec) -> ModelRef:
        """Return the model that a training makes, trained or not."""
        model = next((model for model in self._models if model.model_id == spec.model_id), None)
        return model.ref if model else ModelRef(spec.model_id)
