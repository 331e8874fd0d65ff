"""What sweeps and trainings have in common when their inputs are found: faults gathered in one list, and weights."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nst.errors import InputError, ManifestError
from tasks.inputs.weights import WeightsRef, find_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nst.config.backbone import BackboneConfig
    from nst.errors import Problem
    from nst.yaml.positions import Path, Where
    from tasks.inputs.base_uri import BaseUri
    from tasks.inputs.digests import Digests


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
            self._problems.append(self._positions.problem(path, error.message, error.hint))

    def raise_any(self) -> None:
        """Raise what was noted.

        Raises:
            ManifestError: With every fault at its place.
        """
        if self._problems:
            raise ManifestError(tuple(self._problems))


def identify_weights(
    backbones: Mapping[BackboneConfig, Path], base: BaseUri, digests: Digests, faults: InputFaults
) -> dict[BackboneConfig, WeightsRef]:
    """Return the weights of each backbone, given where the manifest names the backbones."""
    weights = {}
    for backbone, path in backbones.items():
        with faults.at(*path, "weights"):
            weights[backbone] = find_weights(backbone, base, digests)
    return weights
