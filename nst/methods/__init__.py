"""The methods by name, imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nst.registry import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nst.workspace import Request, Stylized, Workspace

METHODS: Final = {
    "class_visualisation": "nst.methods.class_visualisation:stylize_batch",
    "doodle": "nst.methods.doodle:stylize_batch",
    "dream": "nst.methods.dream:stylize_batch",
    "feedforward": "nst.methods.feedforward:stylize_batch",
    "gatys": "nst.methods.gatys:stylize_batch",
    "invert": "nst.methods.invert:stylize_batch",
    "mrf": "nst.methods.mrf:stylize_batch",
    "texture": "nst.methods.texture:stylize_batch",
}
"""`method.name` to the function that runs a batch of its cells."""


def stylize_batch(
    requests: Sequence[Request], workspace: Workspace, on_step: Callable[[int, int], None] | None = None
) -> list[Stylized]:
    """Return one result per request, in order, by the method that their configuration names.

    Args:
        requests: Cells that share their content and every setting outside the configuration's `VARIES`.
        workspace: The worker's warm state.
        on_step: Called with (steps done, steps in all).

    Raises:
        UserError: The method is unknown, or the backbone's weights lack a layer.
        torch.cuda.OutOfMemoryError: The batch does not fit; half of it may.
    """
    if not requests:
        return []
    results: list[Stylized] = resolve(METHODS, requests[0].config.name, what="method")(requests, workspace, on_step)
    return results
