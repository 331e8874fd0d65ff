"""The tensors of a file that torch wrote, loaded without running what the file says.

`tasks.inputs.tensor_headers` looks at the file first: what it refuses may cost torch hours, or all memory. Then torch
loads it with `weights_only=True`.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from nst.errors import InputError
from tasks.inputs.tensor_headers import tensor_shapes

if TYPE_CHECKING:
    from torch import Tensor


def load_torch(data: bytes, uri: str) -> dict[str, Tensor]:
    """Return the tensors of the dictionary in a file that torch wrote, as a zip archive or as it did before.

    Raises:
        InputError: The file does not load safely, is damaged, or holds no dictionary.
    """
    import torch

    tensor_shapes(io.BytesIO(data), uri, len(data))
    try:
        with warnings.catch_warnings(action="ignore"):
            # Odd pickles are refused or loaded, and warnings about them help no user.
            loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged file raises whatever the code raises that happens to read it.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{uri} is not a weights file that loads safely: {reason}") from error
    if not isinstance(loaded, dict):
        raise InputError(f"{uri} holds a {type(loaded).__name__}, expected a dictionary of tensors")
    return {str(name): tensor for name, tensor in loaded.items() if isinstance(tensor, torch.Tensor)}


def load_own_tensors(data: bytes, uri: str) -> dict[str, Tensor]:
    """Return the tensors as `load_torch` does, each contiguous and with memory of its own.

    Raises:
        InputError: As `load_torch`; or the tensors, written out, have more bytes than the file.
    """
    tensors = load_torch(data, uri)
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > len(data):
        raise InputError(f"{uri} names more numbers than it holds", hint="do some of its tensors share their numbers?")
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
