"""What sweeps and trainings have in common when their inputs are found: faults gathered in one list, and weights."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nst.config.convolutions import check_shapes
from nst.config.method import Method
from nst.errors import InputError, ManifestError
from nst.planning.layers import measured_layers
from tasks.inputs.weights import WeightsRef, check_download, find_weights, shapes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nst.config.backbone import BackboneConfig
    from nst.config.training import Training
    from nst.errors import Problem
    from nst.yaml.positions import Path, Where
    from tasks.inputs.base_uri import BaseUri
    from tasks.inputs.digests import Digests
    from tasks.inputs.tensor_headers import Shapes
    from tasks.store import Store


class InputFaults:
    """Gathers what is wrong with the inputs of a manifest, so that all of it is reported at once.

    Args:
        positions: Where the manifest's keys and values stand.
    """

    def __init__(self, positions: Where) -> None:
        self._positions = positions
        self._problems: list[Problem] = []

    @contextlib.contextmanager
    def at(self, *path: str | int) -> Iterator[None]:
        """Note an InputError of the context as a fault of what the manifest has at `path`, and go on after it."""
        try:
            yield
        except InputError as error:
            self.add(path, error.message, error.hint)

    def add(self, path: Path, message: str, hint: str = "") -> None:
        """Note a fault of what the manifest has at `path`."""
        self._problems.append(self._positions.problem(path, message, hint))

    def raise_any(self) -> None:
        """Raise what was noted.

        Raises:
            ManifestError: With every fault at its place.
        """
        if self._problems:
            raise ManifestError(tuple(dict.fromkeys(self._problems)))


def identify_weights(
    users: Iterable[tuple[Method | Training, Path]], base: BaseUri, digests: Digests, faults: InputFaults, store: Store
) -> dict[BackboneConfig, WeightsRef]:
    """Return the weights of the backbone of each configuration; files that lack what one needs are faults.

    Args:
        users: Configurations of methods or trainings, each with its place in the manifest.
        base: What relative URIs are relative to.
        digests: Digests of files.
        faults: Receives the faults.
        store: The objects of the root.
    """
    weights: dict[BackboneConfig, WeightsRef] = {}
    shapes: dict[BackboneConfig, Shapes] = {}
    checked: set[tuple[BackboneConfig, frozenset[str]]] = set()
    for config, path in users:
        backbone = config.loss_network if isinstance(config, Method) else config.backbone
        if backbone is None:
            continue
        layers = measured_layers(config, backbone.name)
        if (backbone, layers) in checked:
            continue
        checked.add((backbone, layers))
        with faults.at(*path, "backbone", "weights"):
            if backbone not in weights:
                weights[backbone] = find_weights(backbone, base, digests)
                if weights[backbone].is_file:
                    shapes[backbone] = shapes_of(weights[backbone], store)
            if backbone in shapes:
                _check(weights[backbone], backbone.name, layers, shapes[backbone])
    return weights


def check_downloads(needed: Iterable[tuple[BackboneConfig | None, Path]], positions: Where) -> None:
    """Refuse weights of torchvision that are neither in torch's cache nor to be had now.

    Args:
        needed: The backbones of what is to be run, each with the place in the manifest of what uses it.
        positions: Where the manifest's keys and values stand.

    Raises:
        ManifestError: With the first place of each.
    """
    faults, asked = InputFaults(positions), set()
    for backbone, path in needed:
        if backbone and backbone.weights == "torchvision" and backbone.name not in asked:
            asked.add(backbone.name)
            with faults.at(*path, "backbone", "weights"):
                check_download(backbone.name)
    faults.raise_any()


def _check(weights: WeightsRef, architecture: str, layers: frozenset[str], shapes: Shapes) -> None:
    try:
        check_shapes(architecture, layers, shapes)
    except InputError as error:
        raise InputError(f"{weights.uri}: {error.message}", hint=error.hint) from error
