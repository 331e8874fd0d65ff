"""Judges the pictures of a worker as they are made, by the neutral judge, where its weights are at hand."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from nst.errors import InputError, NumericalError
from tasks.inputs.weights import cached_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from nst.config.judgement import JudgeIdentity
    from nst.config.method import Method
    from nst.judges import Judge
    from nst.workspace import Request
    from tasks.models.judges import JudgeWeights


def judged_at_once(config: Method) -> bool:
    """Return whether the pictures of a method are judged as they are made.

    Pictures of one pass of a network, of `baseline` and of `draft` take little longer than their judgement, and are
    judged later by `nst judge`.
    """
    return config.loss_network is not None and config.loss_network.weights != "draft"


def judges_all(configs: Iterable[Method]) -> bool:
    """Return whether a run judges the pictures of all these settings, as far as this machine can tell."""
    return cached_weights("squeezenet").is_file() and all(map(judged_at_once, configs))


class Judging:
    """Returns the columns of the neutral judge; the judge is loaded for the first picture.

    No picture is to fail for its judgement: where the judge cannot speak, the columns stay empty, and `nst judge` fills
    them in later.

    Args:
        device: Device that the judge computes on.
        weights: Weights of the judge; None for those in torch's cache.
    """

    def __init__(self, device: str, weights: JudgeWeights | None = None) -> None:
        self._device = device
        self._weights = weights

    def columns(self, image: np.ndarray, request: Request) -> dict[str, Any]:
        """Return the judgements of the picture of a request, HWC uint8 RGB, and the judge; empty if not judged."""
        if not judged_at_once(request.config) or self._judge is None:
            return {}
        judge, identity = self._judge
        try:
            found = judge.measure(image, request.content, request.styles, request.style_weights)
        except Exception as error:
            from tasks.work.halving import is_out_of_memory  # it loads torch, which flows do without

            if isinstance(error, NumericalError) or is_out_of_memory(error):  # the next batch has the device's memory
                return {}
            raise
        network = request.config.loss_network
        neutral = network is None or network.name != "squeezenet"
        return {**found, **identity.columns, "judge_neutral": neutral} if found else {}

    @cached_property
    def _judge(self) -> tuple[Judge, JudgeIdentity] | None:
        from tasks.models.judges import build_judge, weights_in_cache

        weights = self._weights or weights_in_cache()
        try:
            return build_judge(weights, self._device) if weights.squeezenet else None
        except InputError:  # another file lies in the cache under that name, as `nst doctor` says
            return None
