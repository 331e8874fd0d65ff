"""The methods by name, each a function that runs a batch of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from nst.methods import baseline, class_visualisation, doodle, dream, feedforward, gatys, invert, mdan, mrf, texture
from nst.methods.finishing import finished

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nst.workspace import Request, Stylized, Workspace


class StylizeBatch(Protocol):
    """The function of every method: returns one result per request, in order."""

    def __call__(  # noqa: D102
        self, requests: Sequence[Request], workspace: Workspace, on_step: Callable[[int, int], None] | None = None
    ) -> list[Stylized]: ...


METHODS: Final[dict[str, StylizeBatch]] = {
    "baseline": baseline.stylize_batch,
    "class_visualisation": class_visualisation.stylize_batch,
    "doodle": doodle.stylize_batch,
    "dream": dream.stylize_batch,
    "feedforward": feedforward.stylize_batch,
    "gatys": gatys.stylize_batch,
    "invert": invert.stylize_batch,
    "mdan": mdan.stylize_batch,
    "mrf": mrf.stylize_batch,
    "texture": texture.stylize_batch,
}
"""The function that runs a batch of a method's cells, by `method.name`."""


def stylize_batch(
    requests: Sequence[Request], workspace: Workspace, on_step: Callable[[int, int], None] | None = None
) -> list[Stylized]:
    """Return one result per request, in order, made by the method that the requests' settings name, and finished.

    Args:
        requests: Cells of one method that share every setting outside the method's `VARIES` and, if the method says so
            (`Method.SHARES_CONTENT`), their content.
        workspace: The warm state of the worker.
        on_step: Called after every step with (number of steps done, number of all steps).

    Raises:
        UserError: The weights of the backbone lack a layer.
        torch.OutOfMemoryError: The batch does not fit into the device's memory; a smaller batch may.
    """
    results = METHODS[requests[0].config.name](requests, workspace, on_step) if requests else []
    pairs = zip(results, requests, strict=True)
    return [finished(result, request.finish, workspace) for result, request in pairs]
