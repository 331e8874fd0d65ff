"""The names and shapes of the tensors in a file of weights, read without torch and without running what a file says.

Of a .safetensors file the header is read, which is JSON. The names and shapes of a .pth file stand in a pickle: it is
unpickled with stand-ins for all that it names, so that nothing but text, numbers and containers is ever made of it.
"""

from __future__ import annotations

import pickle
import zipfile
from typing import IO, TYPE_CHECKING, Any, Final

from nst.errors import InputError
from nst.yaml.json_text import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

Shapes = dict[str, tuple[int, ...]]

_MOST_HEADER_BYTES: Final = 32 * 2**20
"""Most bytes of a header or pickle that are read; those of the networks known here have some thousand."""

_LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
"""The number that torch wrote at the start of its files before they were zip archives."""

_HINT: Final = "weights are a .safetensors file, or a .pth file with a dictionary of tensors"


def tensor_shapes(file: IO[bytes], name: str, size: int) -> Shapes:
    """Return the shape of every tensor in a file, by name.

    Args:
        file: The file, at its beginning.
        name: Its path or URI. `.pth` and `.pt` are files of torch, everything else is taken for safetensors.
        size: Its bytes.

    Raises:
        InputError: The file is of another kind, or damaged.
    """
    if name.endswith((".pth", ".pt")):
        return _of_torch(file, name)
    return _of_safetensors(file, name, size)


def _of_safetensors(file: IO[bytes], name: str, size: int) -> Shapes:
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(size - 8, _MOST_HEADER_BYTES):
        raise InputError(f"{name} is not a safetensors file: it begins with no header", hint=_HINT)
    try:
        header = from_json(file.read(length))
        found = {key: about for key, about in header.items() if key != "__metadata__"}
        shapes = {key: tuple(map(int, about["shape"])) for key, about in found.items()}
        end = max((int(about["data_offsets"][1]) for about in found.values()), default=0)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise InputError(f"{name} is not a safetensors file: its header cannot be read", hint=_HINT) from error
    if 8 + length + end != size:
        raise InputError(f"{name} has {size:,} bytes; its header says {8 + length + end:,}", hint="is it complete?")
    return shapes


def _of_torch(file: IO[bytes], name: str) -> Shapes:
    try:
        state = _unpickled(file)
    except Exception as error:
        # A damaged pickle raises whatever the instruction raises that it happens to hold.
        raise InputError(f"{name} is not a file of torch's weights: {_reason(error)}", hint=_HINT) from error
    if not isinstance(state, dict):
        raise InputError(f"{name} holds no dictionary of tensors", hint=_HINT)
    return {str(key): value.shape for key, value in state.items() if isinstance(value, _Tensor)}


def _unpickled(file: IO[bytes]) -> Any:
    if file.read(4) == b"PK\x03\x04":
        with zipfile.ZipFile(file) as archive:
            (info,) = (info for info in archive.infolist() if info.filename.endswith("/data.pkl"))
            if info.file_size > _MOST_HEADER_BYTES:
                raise ValueError("its list of tensors is too long")
            with archive.open(info) as pickled:
                return _Unpickler(pickled).load()
    file.seek(0)
    if _Unpickler(file).load() != _LEGACY_MAGIC:
        raise ValueError("it begins with no number of torch's")
    _Unpickler(file).load()  # the version of the format
    _Unpickler(file).load()  # sizes of numbers on the machine that wrote it
    return _Unpickler(file).load()


class _Tensor:
    """Stands for a tensor."""

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.shape = shape


class _StandIn:
    """Stands for everything else: it can be called, filled and asked for anything, and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> _StandIn:
        return self

    def __setstate__(self, _: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        """Take an item of a pickled list."""

    def __setitem__(self, _: Any, __: Any) -> None:
        pass


class _Dictionary(dict[Any, Any]):
    """Stands for a dictionary with attributes, which are left out."""

    def __setstate__(self, _: Any) -> None:
        pass


def _rebuild(_: Any, __: Any, shape: tuple[int, ...], *___: Any) -> _Tensor:
    """Stand for the functions that put a tensor together from (storage, offset, shape, strides, ...)."""
    return _Tensor(tuple(map(int, shape)))


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


_KNOWN: Final[Mapping[tuple[str, str], Any]] = {
    ("collections", "OrderedDict"): _Dictionary,
    ("torch._utils", "_rebuild_tensor"): _rebuild,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


class _Unpickler(pickle.Unpickler):
    """Makes stand-ins of everything that a pickle names, so that no code of others is imported or called."""

    def find_class(self, module: str, name: str, /) -> Any:
        """Return the stand-in of a class or function."""
        return _KNOWN.get((module, name), _StandIn)

    def persistent_load(self, pid: Any, /) -> Any:
        """Return the stand-in of a storage, whose bytes lie elsewhere in the file."""
        return _StandIn(pid)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
