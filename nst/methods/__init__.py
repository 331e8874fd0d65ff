"""The methods by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from nst.methods import class_visualisation, doodle, dream, feedforward, gatys, invert, mrf, texture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nst.workspace import Request, Stylized, Workspace


class StylizeBatch(Protocol):
    """The one function of every method: a result per request, in order."""

    def __call__(  # noqa: D102
        self, requests: Sequence[Request], workspace: Workspace, on_step: Callable[[int, int], None] | None = None
    ) -> list[Stylized]: ...


METHODS: Final[dict[str, StylizeBatch]] = {
    "class_visualisation": class_visualisation.stylize_batch,
    "doodle": doodle.stylize_batch,
    "dream": dream.stylize_batch,
    "feedforward": feedforward.stylize_batch,
    "gatys": gatys.stylize_batch,
    "invert": invert.stylize_batch,
    "mrf": mrf.stylize_batch,
    "texture": texture.stylize_batch,
}
"""`method.name` to the function that runs a batch of its cells."""


def stylize_batch(
    requests: Sequence[Request], workspace: Workspace, on_step: Callable[[int, int], None] | None = None
) -> list[Stylized]:
    """Return one result per request, in order, by the method that their settings name.

    Args:
        requests: Cells that share their content and every setting outside the method's `VARIES`.
        workspace: The worker's warm state.
        on_step: Called with (steps done, steps in all).

    Raises:
        UserError: The backbone's weights lack a layer.
        torch.OutOfMemoryError: The batch does not fit; half of it may.
    """
    return METHODS[requests[0].config.name](requests, workspace, on_step) if requests else []
