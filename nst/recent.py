"""A memory of the values that were used last, bounded by how much they weigh. Knows no picture and no network."""

from __future__ import annotations

from collections import OrderedDict
from copy import copy
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """A memory of the values that were used last, which computes missing values.

    Args:
        room: Largest sum of the weights of the values that are kept; the value that was used last is kept in any case.
        weigh: Returns the weight of a value; by default each value weighs 1.
    """

    def __init__(self, room: int, weigh: Callable[[Value], int] = lambda _: 1) -> None:
        self.room = room
        self._weigh = weigh
        self._owner: Hashable = None
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()

    def owned_by(self, owner: Hashable) -> Recent[Value]:
        """Return a view of this memory for another owner: both share its room, but no value of the other's keys."""
        other = copy(self)
        other._owner = owner  # noqa: SLF001 - of a copy of this object
        return other

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """Return the value of `key`, computed if it is not in memory."""
        key = (self._owner, key)
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key][0]
        value = compute()
        self._values[key] = value, self._weigh(value)
        while self.weight > self.room and len(self._values) > 1:
            self._values.popitem(last=False)
        return value

    @property
    def weight(self) -> int:
        """Sum of the weights of the values that are kept."""
        return sum(weight for _, weight in self._values.values())

    def clear(self) -> None:
        """Forget all values, those of other owners too."""
        self._values.clear()


def bytes_of(value: Any) -> int:
    """Return how many bytes the arrays and tensors in a value take.

    Args:
        value: An array, a tensor, a number, a text, or a mapping, list, tuple or dataclass of such.

    Raises:
        TypeError: It holds something else, whose size is not known.
    """
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, torch.Tensor):
        return value.element_size() * value.nelement()
    if isinstance(value, dict):
        return sum(map(bytes_of, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(bytes_of, value))
    if is_dataclass(value):
        return sum(bytes_of(getattr(value, field.name)) for field in fields(value))
    if value is None or isinstance(value, int | float | str | bytes):
        return 0
    raise TypeError(f"the size of {type(value).__name__} is not known")
