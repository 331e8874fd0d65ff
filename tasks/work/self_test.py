"""Decides whether a device is at fault: a convolution, forward and backward, whose result is known without it.

A GPU that has lost its context fails every cell that it is given, and every cell's failure looks like its own. So
whoever may blame a cell for what happened on a device asks the device first. Takes milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nst.errors import DeviceError, NstError, NumericalError

if TYPE_CHECKING:
    from collections.abc import Iterable

_SIDE: Final = 12
"""Rows and columns of the input."""

_TOLERANCE: Final = 1e-3
"""Relative. All numbers are small integers, which TF32 and float32 hold exactly."""


def acquit(device: str, errors: Iterable[BaseException]) -> None:
    """Test a device, if it may have caused one of these errors.

    Raises:
        DeviceError: The device fails, so that nothing that happened on it may be held against anybody.
    """
    if any(map(_may_be_the_devices, errors)) and (fault := device_fault(device)):
        raise DeviceError(fault)


def _may_be_the_devices(error: BaseException) -> bool:
    """Return whether a broken device may show itself so: not as what nst knows for sure, but also as wrong numbers."""
    return isinstance(error, NumericalError) or not isinstance(error, NstError)


def device_fault(device: str) -> str:
    """Return in one line why a device cannot be used, or "" if it passes the test.

    Args:
        device: A torch device, as this process names it.
    """
    try:
        return _test(device)
    except Exception as error:  # noqa: BLE001  whatever the driver's library raises
        return f"{type(error).__name__}: {str(error).strip() or 'without a word'}".splitlines()[0]


def _test(device: str) -> str:
    """Return what is wrong with the result of a device.

    The input is the paraboloid y^2 + x^2 and the kernel the Laplacian, so that every output is 4. With half the sum of
    squares as the loss, the gradient of the kernel at (a, b) is four times the sum of the inputs below it.
    """
    import torch

    rows = torch.arange(_SIDE, dtype=torch.float32)
    picture_11HW = (rows[:, None] ** 2 + rows**2)[None, None].to(device)
    laplacian_1133 = torch.tensor([[[[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]]]).to(device)
    laplacian_1133.requires_grad_()
    with torch.enable_grad():
        output_11HW = torch.nn.functional.conv2d(picture_11HW, laplacian_1133)
        (gradient_1133,) = torch.autograd.grad((output_11HW**2).sum() / 2, [laplacian_1133])
    inner = range(_SIDE - 2)
    sums = [[4.0 * sum((y + a) ** 2 + (x + b) ** 2 for y in inner for x in inner) for b in range(3)] for a in range(3)]
    found = {"output": (output_11HW, torch.tensor(4.0)), "gradient": (gradient_1133, torch.tensor(sums))}
    for name, (result, expected) in found.items():
        if not torch.allclose(result.detach().cpu(), expected, rtol=_TOLERANCE):
            return f"a small convolution has a wrong {name}"
    return ""
