"""Writes .t7 files byte for byte as torch7 describes them (`File.lua`, `Tensor.c`, `Storage.c`), for tests."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = {"float32": "Float", "float64": "Double", "int64": "Long"}


class Module:
    """An object of a class of torch7, such as `nn.ReLU`, with its fields."""

    def __init__(self, name: str, fields: Mapping[Any, Any] | None = None, **more: Any) -> None:
        self.name, self.fields = name, {**(fields or {}), **more}


def chain(*modules: Module, name: str = "nn.Sequential", **more: Any) -> Module:
    """A container of modules, which Lua counts from 1."""
    return Module(name, modules=dict(enumerate(modules, start=1)), **more)


class Writer:
    """Writes values; an object that was written before is written as its index."""

    def __init__(self) -> None:
        self._indices = itertools.count(1)
        self._written: dict[int, int] = {}
        self._alive: list[Any] = []

    def value(self, value: Any) -> bytes:
        """The bytes of a value."""
        match value:
            case None:
                return struct.pack("<i", 0)
            case bool():
                return struct.pack("<ii", 5, value)
            case int() | float():
                return struct.pack("<id", 1, value)
            case str():
                return struct.pack("<i", 2) + text(value)
        return self._counted(value)

    def _counted(self, value: Any) -> bytes:
        kind = 3 if isinstance(value, dict) else 4
        if id(value) in self._written:
            return struct.pack("<ii", kind, self._written[id(value)])
        index = self._written[id(value)] = next(self._indices)
        self._alive.append(value)
        start = struct.pack("<ii", kind, index)
        if isinstance(value, dict):
            pairs = [self.value(key) + self.value(item) for key, item in value.items()]
            return start + struct.pack("<i", len(pairs)) + b"".join(pairs)
        if isinstance(value, Module):
            return start + text("V 1") + text(value.name) + self.value(value.fields)
        return start + text("V 1") + self._tensor(value)

    def _tensor(self, array: np.ndarray) -> bytes:
        word = KINDS[str(array.dtype)]
        strides = [stride // array.itemsize for stride in array.strides]
        base = array
        while isinstance(base.base, np.ndarray):
            base = base.base
        places = struct.pack(f"<{2 * array.ndim}q", *array.shape, *strides)
        first = 1 + (array.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // array.itemsize
        head = text(f"torch.{word}Tensor") + struct.pack("<i", array.ndim) + places + struct.pack("<q", first)
        storage = struct.pack("<ii", 4, next(self._indices)) + text("V 1") + text(f"torch.{word}Storage")
        return head + storage + struct.pack("<q", base.size) + base.tobytes()


def text(value: str) -> bytes:
    """The length of a text and its bytes."""
    return struct.pack("<i", len(value.encode())) + value.encode()


def t7(value: Any) -> bytes:
    """A file with one value."""
    return Writer().value(value)
