"""Stylizes requests together as far as the memory of the device allows: a batch that is too large is halved.

Which cells a batch has, and its id, follow from the plan alone; only how many of them are computed at one time follows
from the memory, and whether a picture that does not fit alone passes in tiles. A cell is the same in a batch and alone,
whole and in tiles, up to rounding.
"""

from __future__ import annotations

import contextlib
import gc
import math
from typing import TYPE_CHECKING, Final

import torch

from nst.config.memory import PAIR, ROOM, SIDES
from nst.config.method import PixelMethod
from nst.config.optimizer import LbfgsConfig
from nst.errors import InputError, OutOfMemory, TransientError
from nst.methods import stylize_batch
from nst.methods.start import picture_size
from tasks.work.workplace import memory_held, memory_of, return_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nst.workspace import Request, Stylized, Workspace

_LACK_OF_MEMORY: Final = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "bad allocation")
"""Words of the RuntimeErrors by which torch tells that memory is short: those of its CPU allocator on Linux and on
Windows, of MPS, and of C++. For CUDA it has a class."""


_ONEDNN_FAILS: Final = ("could not create a primitive", "could not create a memory")
"""What oneDNN, torch's library for convolutions on a CPU, says when memory is short."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error tells that a device, or the machine itself, has too little memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _LACK_OF_MEMORY)


def as_told(error: Exception, device: str) -> Exception:
    """Return what a failed cell is told: lack of memory in one word for all devices, other errors as they are."""
    if not is_out_of_memory(error):
        return error
    return OutOfMemory(f"{device} has too little memory for one cell at this size", hint="choose a smaller size")


def stylize_in_memory(
    requests: Sequence[Request], workspace: Workspace, on_step: Callable[[int, int], None] | None = None
) -> list[Stylized | Exception]:
    """Return one result or error per request; an error of a batch is each request's, except that memory was short.

    A batch that does not fit is halved, and a picture that does not fit alone is cut.

    Raises:
        TransientError: The store of the weights did not answer.
    """
    if not requests:
        return []
    if workspace.room:
        workspace = workspace.in_room(_room_for(requests, str(workspace.device)))
    outcomes = _attempt(requests, workspace, on_step)
    if outcomes is not None:
        return outcomes
    _free(workspace.device)  # here, where nothing refers to the frames of the attempt any more
    if len(requests) == 1:  # tried again: in smaller tiles, or else without oneDNN
        smaller = _smaller(requests[0], workspace)
        return stylize_in_memory(requests, workspace.in_room(0.0, smaller) if smaller else workspace, on_step)
    half = len(requests) // 2
    first = stylize_in_memory(requests[:half], workspace, on_step)
    return first + stylize_in_memory(requests[half:], workspace, on_step)


def _room_for(requests: Sequence[Request], device: str) -> float:
    """Return the bytes that pictures of a batch may take before they pass in tiles, beside what optimisers remember.

    A GPU says when its memory is short, so that nothing is forecast there: the attempt that fails costs a moment. A
    machine whose memory is short ends the process.

    Args:
        requests: The batch.
        device: The device. What other processes need meanwhile is not known: a part of the memory is left to them.
    """
    if device.startswith("cuda"):
        return math.inf
    remembered = 0
    for request in requests:
        optimizer = getattr(request.config, "optimizer", None)
        if isinstance(request.config, PixelMethod) and isinstance(optimizer, LbfgsConfig):
            with contextlib.suppress(InputError):  # one whose size is refused takes nothing
                width, height = picture_size(request)
                remembered += optimizer.pairs(request.config.steps) * PAIR * width * height
    return max(1.0, ROOM * (memory_of(device) + memory_held(device)) - remembered)


def _attempt(
    requests: Sequence[Request], workspace: Workspace, on_step: Callable[[int, int], None] | None
) -> list[Stylized | Exception] | None:
    """Return one result or error per request, or None if memory is too short and another attempt may do."""
    try:
        return [outcome.error or outcome for outcome in stylize_batch(requests, workspace, on_step)]
    except TransientError:
        raise
    except Exception as error:  # noqa: BLE001  recorded with its trace in each cell's failure row
        may_take_less = len(requests) > 1 or bool(_smaller(requests[0], workspace))
        if _do_without_onednn(error) or (is_out_of_memory(error) and may_take_less):
            return None
        return [as_told(error, str(workspace.device))] * len(requests)


def _smaller(request: Request, workspace: Workspace) -> int:
    """Return the side of the tiles to be tried next, 0 if there are none: at first the largest.

    Where the memory was forecast and is too short all the same, the smallest ones are tried at once.
    """
    if not (isinstance(request.config, PixelMethod) and request.config.IN_TILES):
        return 0
    if workspace.room:
        return SIDES[0] if workspace.room == math.inf else SIDES[-1]
    return next((side for side in SIDES if side < workspace.tile), 0)


def _do_without_onednn(error: Exception) -> bool:
    """Turn oneDNN off if it failed, and return whether it did.

    Once it found no memory for code that it generates, it fails in this thread for ever, however much memory there is
    afterwards (its generator, Xbyak, keeps its last error by thread). torch's own convolutions take more time.
    """
    if not (torch.backends.mkldnn.enabled and any(words in str(error) for words in _ONEDNN_FAILS)):
        return False
    torch.backends.mkldnn.set_flags(_enabled=False)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return True


def _free(device: torch.device) -> None:
    """Give the memory of tensors that nothing refers to back to the device and to the system."""
    gc.collect()
    if device.type in {"cuda", "mps"}:
        getattr(torch, device.type).empty_cache()
    return_freed_memory()
