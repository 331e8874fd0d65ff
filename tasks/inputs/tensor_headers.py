"""The names and shapes of the tensors in a file of weights, read without torch and without running what a file says.

Of a .safetensors file the header is read, which is JSON. The names and shapes of a .pth file stand in a pickle, which
`tasks.inputs.torch_pickle` reads. A .t7 file of torch7 is read whole (`tasks.inputs.torch7`). Reading takes bounded
time and memory, whatever the file says, and so does torch with a file that is accepted here.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from typing import IO, TYPE_CHECKING, Any, Final, Literal

from nst.errors import InputError
from nst.yaml.json_text import from_json
from tasks.inputs.torch7 import OBJECT, TABLE
from tasks.inputs.torch7_modules import backbone_weights, modules_in
from tasks.inputs.torch_pickle import StoredTensor, check_key, check_shape, read_pickle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Shapes = dict[str, tuple[int, ...]]

_MOST_HEADER_BYTES: Final = 32 * 2**20
"""Most bytes of a header or pickle that are read; those of the networks known here have some thousand."""

_NOTES: Final = "__metadata__"
"""Key of the notes in the header of a .safetensors file."""

_LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
"""The number that torch wrote at the start of its files before they were zip archives."""

_ZIP: Final = b"PK\x03\x04"
"""The first bytes of a zip archive."""

_LEGACY_START: Final = b"\x80\x02\x8a\n"
"""The first bytes of a pickle that begins with a number of ten bytes, as `_LEGACY_MAGIC` is."""

_TORCH7_STARTS: Final = tuple(struct.pack("<ii", kind, 1) for kind in (TABLE, OBJECT))
"""The first bytes of a file of torch7: the kind of its first value, and the index of that value."""

_BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64, "F64": 64, "F32": 32,
    "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "C64": 64,
}  # fmt: skip
"""Bits of a number of each type in the safetensors format."""

_HINT: Final = "weights are a .safetensors file, a .pth file with a dictionary of tensors, or a .t7 file"


def file_format(name: str, head: bytes) -> Literal["torch", "torch7", "safetensors"]:
    """Return the format of a file of weights, by its name or else by its first bytes.

    Args:
        name: Its path or URI. `.pth` and `.pt` are files of torch, `.t7` of torch7; so is, under any name, what begins
            as those do.
        head: Its first 8 bytes. A safetensors file cannot begin as these do: its header would be larger than any that
            is read.
    """
    if name.endswith((".pth", ".pt")) or head.startswith((_ZIP, _LEGACY_START)):
        return "torch"
    return "torch7" if name.endswith(".t7") or head in _TORCH7_STARTS else "safetensors"


def tensor_shapes(file: IO[bytes], name: str, size: int) -> Shapes:
    """Return the shape of every tensor in a file, by name.

    Args:
        file: The file, at its beginning.
        name: Its path or URI (`file_format`).
        size: Its bytes.

    Raises:
        InputError: The file is of another kind, or damaged.
    """
    head = file.read(8)
    file.seek(0)
    match file_format(name, head):
        case "torch":
            return _of_torch(file, name, size)
        case "torch7":
            return {key: array.shape for key, array in backbone_weights(*modules_in(file.read(), name)).items()}
    return _of_safetensors(file, name, size)


def tensor_notes(file: IO[bytes], name: str, size: int) -> dict[str, str]:
    """Return the notes of a .safetensors file, a mapping from text to text; empty for a file without any.

    Args:
        file: The file, at its beginning.
        name: Its path or URI.
        size: Its bytes.

    Raises:
        InputError: It is no .safetensors file, or its header cannot be read.
    """
    header, _ = _header(file, name, size)
    notes = header.get(_NOTES)
    return {str(key): str(value) for key, value in notes.items()} if isinstance(notes, dict) else {}


def _header(file: IO[bytes], name: str, size: int) -> tuple[dict[str, Any], int]:
    """Return the header of a .safetensors file and the bytes that it takes.

    Raises:
        InputError: There is none.
    """
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(size - 8, _MOST_HEADER_BYTES):
        raise InputError(f"{name} is not a safetensors file: it begins with no header", hint=_HINT)
    try:
        header = from_json(file.read(length))
    except ValueError as error:
        raise InputError(f"{name} is not a safetensors file: its header cannot be read", hint=_HINT) from error
    if not isinstance(header, dict):
        raise InputError(f"{name} is not a safetensors file: its header cannot be read", hint=_HINT)
    return header, length


def _of_safetensors(file: IO[bytes], name: str, size: int) -> Shapes:
    header, length = _header(file, name, size)
    try:
        tensors = {key: _tensor(about) for key, about in header.items() if key != _NOTES}
        end = _end(places for _, places in tensors.values())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{name} is not a safetensors file: its header cannot be read", hint=_HINT) from error
    if 8 + length + end != size:
        raise InputError(f"{name} has {size:,} bytes; its header says {8 + length + end:,}", hint="is it complete?")
    return {key: shape for key, (shape, _) in tensors.items()}


def _tensor(about: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Return the shape of a tensor, and where its bytes begin and end, from its part of a header.

    Raises:
        ValueError, TypeError, KeyError: The header does not say so, or its numbers disagree.
    """
    shape, (begin, end) = check_shape(about["shape"]), check_shape(about["data_offsets"])
    if 8 * (end - begin) != math.prod(shape) * _BITS[about["dtype"]]:
        raise ValueError("a tensor has other bytes than its shape needs")
    return shape, (begin, end)


def _end(places: Iterable[tuple[int, int]]) -> int:
    """Return where the last of the tensors ends, each given by the places where it begins and ends.

    Raises:
        ValueError: They do not follow each other without gaps and overlaps, as the format has it.
    """
    last = 0
    for begin, end in sorted(places):
        if begin != last:
            raise ValueError("there are gaps between the tensors, or they overlap")
        last = end
    return last


def _of_torch(file: IO[bytes], name: str, size: int) -> Shapes:
    try:
        state = _unpickled(file, size)
    except Exception as error:
        # A damaged pickle raises whatever the instruction raises that it happens to hold.
        reason = str(error).partition("\n")[0] if isinstance(error, ValueError) else "it is damaged"
        raise InputError(f"{name} is not a file of torch's weights: {reason}", hint=_HINT) from error
    if not isinstance(state, dict):
        raise InputError(f"{name} holds no dictionary of tensors", hint=_HINT)
    return {str(key): value.shape for key, value in state.items() if isinstance(value, StoredTensor)}


def _unpickled(file: IO[bytes], size: int) -> Any:
    if file.read(4) == _ZIP:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            if any(info.compress_type for info in infos) or sum(info.file_size for info in infos) > size:
                raise ValueError("its parts unpack to more bytes than it has, which torch's never do")
            lists = [info for info in infos if info.filename.lower().endswith("/data.pkl")]
            if len(lists) != 1 or lists[0].file_size > _MOST_HEADER_BYTES:
                raise ValueError(f"it holds {len(lists)} lists of tensors, or a very long one; expected one")
            return read_pickle(io.BytesIO(archive.read(lists[0])))
    file.seek(0)
    pickles = io.BytesIO(file.read(_MOST_HEADER_BYTES))
    if read_pickle(pickles) != _LEGACY_MAGIC:
        raise ValueError("it begins with no number of torch's")
    read_pickle(pickles)  # the version of the format
    read_pickle(pickles)  # sizes of numbers on the machine that wrote it
    state = read_pickle(pickles)
    for key in read_pickle(pickles):  # those of the storages, which follow
        check_key(key)
    return state
