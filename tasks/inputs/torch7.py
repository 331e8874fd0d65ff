"""What a .t7 file of torch7 (Lua) says, read without torch and without running anything in it.

Such a file is a tree of values, in the binary format of 64-bit machines with little-endian numbers:

- Each value begins with its kind, an int of 4 bytes: 0 nil, 1 a number, 2 a text, 3 a table, 4 an object, 5 true or
  false, 6 to 8 a function.
- A number is a double; a text its length (int) and its bytes; true is the int 1.
- A table and an object begin with an index (int). What has been read under this index before is meant again, and
  nothing follows.
- A table then has its length (int) and so many pairs of values.
- An object then has `V 1` and the name of its class, two texts. What follows depends on the class: of a storage its
  length (long, 8 bytes) and its numbers; of a tensor the number of its dimensions (int), its sizes and strides (longs),
  the place of its first number counted from 1 (long), and its storage, a value; of any other class its fields, a table.

A function is the code of Lua's machine, which only Lua could run: it is passed over.

Source:
    torch/torch7 `File.lua` (`writeObject`, `readObject`), `generic/Tensor.c` and `generic/Storage.c` (`read`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

TABLE, OBJECT = 3, 4
"""The kinds of value that a file may begin with."""

_MOST_VALUES: Final = 1_000_000
"""Most values in a file; a network of a hundred layers has some thousand."""

_DEEPEST: Final = 100
"""How deep values may lie in each other, a fifth of what Python follows; three levels for each layer in a layer."""

_MOST_DIMENSIONS: Final = 64

_NUMBERS: Final = {
    "Double": "<f8", "Float": "<f4", "Half": "<f2", "Long": "<i8", "Int": "<i4", "Short": "<i2", "Char": "<i1",
    "Byte": "<u1", "Cuda": "<f4", "CudaDouble": "<f8", "CudaHalf": "<f2", "CudaLong": "<i8", "CudaInt": "<i4",
    "CudaShort": "<i2", "CudaChar": "<i1", "CudaByte": "<u1", "Cl": "<f4",
}  # fmt: skip
"""Type of the numbers in tensors and storages, by the word before `Tensor` and `Storage` in the name of their class."""


@dataclass(slots=True)
class Torch7Object:
    """An object that is neither a tensor nor a storage.

    Attributes:
        name: Name of its class, such as `nn.SpatialConvolution`.
        fields: Its fields by name; tensors and storages are arrays, tables are dictionaries.
    """

    name: str
    fields: dict[Any, Any] = field(default_factory=dict)


def read_torch7(data: bytes) -> Any:
    """Return the value in a file: None, a number, a text, a boolean, a dictionary, an array or a `Torch7Object`.

    Numbers that are whole become `int`. Values may hold each other in circles. Arrays share the memory of `data` and
    cannot be written.

    Raises:
        ValueError: The file is damaged, says too much, or is in the text format.
    """
    reader = _Reader(data)
    try:
        return reader.value(0)
    except struct.error:
        raise ValueError("it ends in the middle of a value") from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._values = 0
        self._known: dict[int, Any] = {}

    def value(self, depth: int) -> Any:
        """Return the value that begins here."""
        self._values += 1
        if depth > _DEEPEST or self._values > _MOST_VALUES:
            raise ValueError("it says more than any network, or one thing too deep within another")
        made: Any = None  # stands for nil, and for functions
        match self._int():
            case 0:
                pass
            case 1:
                made = self._number()
            case 2:
                made = self._text()
            case 3:
                made = self._table(depth)
            case 4:
                made = self._object(depth)
            case 5:
                made = self._int() == 1
            case 6 | 7 | 8 as kind:
                self._pass_function(depth, counted=kind != 6)
            case kind:
                raise ValueError(f"it holds a value of the unknown kind {kind}; is it in the binary format?")
        return made

    def _table(self, depth: int) -> dict[Any, Any]:
        index = self._int()
        if index in self._known:
            found = self._known[index]
            if not isinstance(found, dict):
                raise ValueError("what it names as a table is none")
            return found
        table: dict[Any, Any] = {}
        self._known[index] = table
        for _ in range(self._int()):
            key, value = self.value(depth + 1), self.value(depth + 1)
            if isinstance(key, str | int | float):  # bool is an int
                table[key] = value
        return table

    def _object(self, depth: int) -> Any:
        index = self._int()
        if index in self._known:
            return self._known[index]
        name = self._text()
        if name.startswith("V "):  # otherwise the file was written before classes had versions
            name = self._text()
        word = name.removeprefix("torch.")
        if (kind := _NUMBERS.get(word.removesuffix("Storage"))) and word.endswith("Storage"):
            self._known[index] = self._numbers(self._unpack("<q"), kind)
        elif (kind := _NUMBERS.get(word.removesuffix("Tensor"))) and word.endswith("Tensor"):
            self._known[index] = None  # a storage holds no tensor
            self._known[index] = self._tensor(kind, depth)
        else:
            made = self._known[index] = Torch7Object(name)
            fields = self.value(depth + 1)
            if not isinstance(fields, dict):
                raise ValueError(f"its {name!r:.80} is not written as a table")
            made.fields = fields
        return self._known[index]

    def _tensor(self, kind: str, depth: int) -> np.ndarray:
        dimensions = self._int()
        if not 0 <= dimensions <= _MOST_DIMENSIONS:
            raise ValueError(f"a tensor in it has {dimensions} dimensions")
        sizes, strides = ([self._unpack("<q") for _ in range(dimensions)] for _ in range(2))
        first = self._unpack("<q") - 1
        storage = self.value(depth + 1)
        if dimensions == 0 or storage is None:
            return np.empty(0, kind)
        if not isinstance(storage, np.ndarray) or storage.dtype != np.dtype(kind) or storage.ndim != 1:
            raise ValueError("a tensor in it has no storage of its own kind")
        if min(*sizes, *strides, first) < 0:
            raise ValueError("a size, a stride or a place in it is negative")
        if 0 in sizes:
            return np.empty(sizes, kind) if max(sizes) <= storage.size else np.empty(0, kind)
        last = first + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        if last >= storage.size or _product(sizes) > storage.size:
            raise ValueError("a tensor in it has more numbers than its storage")
        steps = [stride * storage.itemsize if size > 1 else 0 for size, stride in zip(sizes, strides, strict=True)]
        return np.lib.stride_tricks.as_strided(storage[first:], sizes, steps, writeable=False)

    def _numbers(self, count: int, kind: str) -> np.ndarray:
        start = self._at
        self._skip(count * np.dtype(kind).itemsize)
        return np.frombuffer(self._data, kind, count, start) if count else np.empty(0, kind)

    def _pass_function(self, depth: int, *, counted: bool) -> None:
        if counted:
            index = self._int()
            if index in self._known:
                return
            self._known[index] = None
        self._skip(self._int())
        self.value(depth + 1)  # the values that it has taken from where it was made

    def _number(self) -> float:
        number = float(self._unpack("<d"))
        return int(number) if number.is_integer() and abs(number) < 2**53 else number

    def _text(self) -> str:
        length = self._int()
        self._skip(length)
        return self._data[self._at - length : self._at].decode("latin1")

    def _int(self) -> int:
        return int(self._unpack("<i"))

    def _unpack(self, kind: str) -> Any:
        (number,) = struct.unpack_from(kind, self._data, self._at)
        self._at += struct.calcsize(kind)
        return number

    def _skip(self, count: int) -> None:
        if not 0 <= count <= len(self._data) - self._at:
            raise ValueError("it ends in the middle of a value, or says a length that is none")
        self._at += count


def _product(sizes: list[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product
