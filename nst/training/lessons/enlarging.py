"""The lesson of `super_resolution`: photographs that were blurred and shrunk, and the features that they had.

Shape letters: B pictures, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.losses.objective import extract
from nst.losses.terms import content_terms
from nst.networks import Origin, Painting, build_network
from nst.ops import resize, to_arrays, to_bytes
from nst.pictures.degradation import degrade
from nst.pictures.fidelity import fidelity
from nst.training.lessons.lesson import Lesson

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

    from nst.config.training import SuperResolutionTraining, Training
    from nst.losses.objective import Objective
    from nst.training.lessons.lesson import Syllabus
    from nst.workspace import Workspace


class EnlargingLesson(Lesson):
    """Pictures with the features of photographs, made of these photographs after they were blurred and shrunk.

    Source:
        Johnson, Alahi & Fei-Fei 2016, section 4.2 and eq. 2. Differs: relative units (`nst.losses.units`).
    """

    config: SuperResolutionTraining

    def __init__(self, config: Training, syllabus: Syllabus, workspace: Workspace) -> None:
        super().__init__(config, syllabus, workspace)
        self.network = build_network(config, Origin())
        self.backbone = workspace.backbone(config.backbone, frozenset(self.config.content_layers), self.dtype)

    def __call__(
        self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int], *, whole: bool = False
    ) -> tuple[Tensor, Objective]:
        """Return pictures that the network makes and the objective that measures them, as `Lesson` says.

        Rows and columns beyond a multiple of the factor are left out.
        """
        del styles, seeds, whole  # the network learns no style, and nothing about a photograph is random
        assert photographs_B3HW is not None
        config, whole_B3HW = self.config, self._cut(photographs_B3HW)
        shrunk_B3HW = degrade(whole_B3HW, config.factor)
        with self.autocast():
            made_B3HW = self.network.paint(Painting((shrunk_B3HW.shape[2], shrunk_B3HW.shape[3]), shrunk_B3HW))
        with torch.no_grad():
            features = extract(self.backbone, whole_B3HW, config.precision)
        weights_B = torch.full_like(made_B3HW[:, 0, 0, 0], config.content_weight, dtype=torch.float64)
        terms = content_terms(features, config.content_layers, weights_B)
        outputs_B3HW = made_B3HW.to(self.dtype)
        return outputs_B3HW, self.objective(outputs_B3HW, terms)

    def finish(self, picture: np.ndarray, photograph: np.ndarray) -> np.ndarray:
        """Return a validation picture with the histograms of the shrunk photograph, as a user gets it."""
        _, shrunk_13HW = self._shrunk(photograph)
        return self.network.finish(picture, to_arrays(to_bytes(shrunk_13HW))[0])

    def measure(self, picture: np.ndarray, photograph: np.ndarray) -> dict[str, float]:
        """Return how near a finished validation picture is to the photograph, beside bicubic interpolation."""
        whole_13HW, shrunk_13HW = self._shrunk(photograph)
        bicubic_13HW = resize(shrunk_13HW, whole_13HW.shape[2], whole_13HW.shape[3])
        return fidelity(picture, *(to_arrays(to_bytes(each))[0] for each in (bicubic_13HW, whole_13HW)))

    def _shrunk(self, photograph: np.ndarray) -> tuple[Tensor, Tensor]:
        whole_13HW = self._cut(self.tensor(photograph[None]))
        return whole_13HW, degrade(whole_13HW, self.config.factor)

    def _cut(self, photographs_B3HW: Tensor) -> Tensor:
        rows, columns = (side - side % self.config.factor for side in photographs_B3HW.shape[2:])
        return photographs_B3HW[..., :rows, :columns]
