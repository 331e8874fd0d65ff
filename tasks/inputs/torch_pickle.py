"""What a pickle of torch's weights says, found without torch and without making anything that it names.

A pickle is a program. This one is carried out instruction by instruction, of which those of torch's weights are known
and no others, on stand-ins for tensors. Its cost is bounded, and so is that of torch's own reader afterwards, whatever
the program says:

- What an instruction takes is counted as if it were written out in full. A few bytes may say that a tuple holds another
  twice, sixty times over: whoever hashes, compares or prints such a value takes 2^60 steps.
- What serves as a key is a text or a small number, so that it has a hash at once, and few share one.
- What is called is one of the few functions below.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_MOST_STEPS: Final = 1_000_000
"""Most steps that a pickle may take: one for each instruction, and one for each value in what instructions take. A
tensor takes about 70, and the networks known here have some hundred tensors."""

_MOST_DIMENSIONS: Final = 64
"""Most dimensions of a tensor; torch and NumPy have no more."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Stands for a tensor, of which only the shape is known."""

    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Name:
    """Stands for what a pickle names: a function, a class, a type of numbers."""

    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """Stands for the numbers of a tensor, which lie elsewhere in the file."""


def check_shape(sizes: Any) -> tuple[int, ...]:
    """Return sizes as the shape of a tensor.

    Raises:
        ValueError: They are something else than a few whole numbers from 0 to 2^63 - 1.
    """
    if (
        not isinstance(sizes, list | tuple)
        or len(sizes) > _MOST_DIMENSIONS
        or not all(type(size) is int and 0 <= size < 2**63 for size in sizes)
    ):
        raise ValueError("a shape in it is none of a tensor")
    return tuple(sizes)


def read_pickle(file: IO[bytes]) -> Any:
    """Return what the pickle at the file's position says, made of text, numbers, containers and stand-ins.

    Args:
        file: A file in memory, so that reading beyond its end costs nothing. It is left at the end of the pickle.

    Raises:
        ValueError: The pickle says what no weights say, or too much.
        Exception: It is damaged, and an instruction does not fit what is there.
    """
    return _Reader().read(file)


def check_key(key: Any) -> None:
    """Refuse a key of a dictionary whose hash may take long, or be that of many others.

    Raises:
        ValueError: It is neither text nor a number, or a whole number of more than 64 bits.
    """
    if isinstance(key, int) and key.bit_length() <= 64:
        return
    if not (key is None or isinstance(key, str | float | _Name)):
        raise ValueError("a key in it is neither text nor a number")


def _ordered(pairs: Iterable[tuple[Any, Any]] = ()) -> dict[Any, Any]:
    """Stand for an OrderedDict, which Python 2 wrote with its items as an argument."""
    made = {}
    for key, value in pairs:
        check_key(key)
        made[key] = value
    return made


def _tensor(_: Any, __: Any, shape: Any, *___: Any) -> StoredTensor:
    """Stand for the functions that put a tensor together from (storage, offset, shape, strides, ...)."""
    return StoredTensor(check_shape(shape))


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _counter(counts: dict[Any, int]) -> dict[Any, int]:
    return dict(counts.items())


def _set_of(items: list[Any]) -> tuple[Any, ...]:
    for item in items:
        check_key(item)
    return tuple(items)


def _bytes(text: Any = "", encoding: Any = "latin1") -> str:
    """Stand for bytes, which are written as text: a bytearray of a number is as large, and other encodings are slow."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError("bytes in it are not written as Python writes them")
    return text


_CALLED: Final[Mapping[str, Callable[..., Any]]] = {
    "__builtin__.bytearray": _bytes,
    "__builtin__.set": _set_of,
    "_codecs.encode": _bytes,
    "collections.Counter": _counter,
    "collections.OrderedDict": _ordered,
    "torch.Size": check_shape,
    "torch.device": lambda *_: _Name("torch.device"),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
}
"""Stand-ins for the functions that a pickle may call, by their names."""


def _call(taken: list[Any]) -> Any:
    function, arguments = taken
    if not isinstance(function, _Name) or function.name not in _CALLED:
        called = repr(function.name[:80]) if isinstance(function, _Name) else "what is no function"
        raise ValueError(f"it calls {called}, which weights do not need")
    return _CALLED[function.name](*arguments)


def _storage(taken: list[Any]) -> _Storage:
    """Stand for what lies under ("storage", type of its numbers, key, place, their number, ...) in the file."""
    for part in taken[0]:
        check_key(part)
    return _Storage()


def _set_items(target: Any, items: list[Any]) -> None:
    if not isinstance(target, dict):
        raise TypeError("it sets an item of what is no dictionary")
    target.update(_ordered(zip(items[::2], items[1::2], strict=True)))


def _extend(target: Any, items: list[Any]) -> None:
    if not isinstance(target, list):
        raise TypeError("it appends to what is no list")
    target.extend(items)


def _build(target: Any, states: list[Any]) -> None:
    """Leave out the attributes that are given to a dictionary."""
    if not (isinstance(target, dict) and isinstance(states[0], dict)):
        raise TypeError("it gives attributes to what is no dictionary")


_TO_MARK: Final = -1
"""In place of a number of values: all since the last mark."""

_SAID: Final = frozenset(("BININT", "BININT1", "BININT2", "BINFLOAT", "LONG1", "BINUNICODE", "SHORT_BINSTRING"))
"""The instructions that put their argument upon the stack."""

_MADE: Final[Mapping[str, Callable[[], Any]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
"""The instructions that put something new upon the stack."""

_MADE_OF: Final[Mapping[str, tuple[int, Callable[[list[Any]], Any]]]] = {
    "TUPLE": (_TO_MARK, tuple),
    "TUPLE1": (1, tuple),
    "TUPLE2": (2, tuple),
    "TUPLE3": (3, tuple),
    "BINPERSID": (1, _storage),
    "REDUCE": (2, _call),
}
"""The instructions that replace so many values upon the stack by what is made of them."""

_DONE_WITH: Final[Mapping[str, tuple[int, Callable[[Any, list[Any]], None]]]] = {
    "SETITEM": (2, _set_items),
    "SETITEMS": (_TO_MARK, _set_items),
    "APPEND": (1, _extend),
    "APPENDS": (_TO_MARK, _extend),
    "BUILD": (1, _build),
}
"""The instructions that take so many values from the stack and change the one below."""


class _Reader:
    """Carries out one pickle."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._below_marks: list[list[Any]] = []
        self._memo: dict[Any, Any] = {}
        self._steps = _MOST_STEPS

    def read(self, file: IO[bytes]) -> Any:
        """Return what the pickle says."""
        for instruction, argument, _ in pickletools.genops(file):
            self._count(1)
            name = instruction.name
            if name == "STOP":
                break
            if name in _SAID:
                self._stack.append(argument)
            elif name in _MADE:
                self._stack.append(_MADE[name]())
            elif name in _MADE_OF:
                number, make = _MADE_OF[name]
                made = make(self._take(number))
                self._stack.append(made)
            elif name in _DONE_WITH:
                number, change = _DONE_WITH[name]
                taken = self._take(number)
                change(self._stack[-1], taken)
            else:
                self._do(name, argument)
        return self._stack.pop()

    def _do(self, name: str, argument: Any) -> None:
        match name:
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._stack[-1]
            case "BINGET" | "LONG_BINGET":
                self._stack.append(self._memo[argument])
            case "GLOBAL":
                self._stack.append(_Name(argument.replace(" ", ".")))
            case "MARK":
                self._below_marks.append(self._stack)
                self._stack = []
            case "PROTO":
                pass
            case _:
                raise ValueError(f"it holds the instruction {name}, which weights do not need")

    def _take(self, number: int) -> list[Any]:
        """Take values from the stack, and count them as if they were written out in full."""
        if number == _TO_MARK:
            taken, self._stack = self._stack, self._below_marks.pop()
        else:
            taken = self._stack[-number:]
            del self._stack[-number:]
        left: list[Any] = [taken]
        while left:
            value = left.pop()
            if isinstance(value, list | tuple | dict):
                self._count(len(value))
                left.extend(value.values() if isinstance(value, dict) else value)
        return taken

    def _count(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise ValueError("it says more than any list of tensors")
