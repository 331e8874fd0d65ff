"""What a .t7 file says is read as it was written, byte for byte; what means no good is one line."""

from __future__ import annotations

import contextlib
import itertools
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from imports import imported
from torch7_files import Module, Writer, chain, t7, text

from nst.errors import InputError
from tasks.inputs.torch7 import Torch7Object, read_torch7
from tasks.inputs.torch7_modules import modules_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RANDOM = np.random.default_rng(5)


def test_values_are_read_as_they_were_written():
    shared = {"x": 1}
    told = {"a": 0.5, "b": "Bild", "c": True, "d": False, 1: shared, 2: shared, 2.5: -3, "e": Module("nn.X", y=None)}
    found = read_torch7(t7(told))
    thing = found.pop("e")
    assert isinstance(thing, Torch7Object)
    assert (thing.name, thing.fields) == ("nn.X", {"y": None})
    assert found == {key: value for key, value in told.items() if key != "e"}
    assert found[1] is found[2]
    assert type(found["c"]) is bool


@pytest.mark.parametrize("kind", ["float32", "float64", "int64"])
def test_tensors_are_views_of_their_storage(kind: str):
    whole = np.arange(24, dtype=kind)
    for part in (whole, whole.reshape(2, 3, 4), whole[5:17].reshape(3, 4).T, whole[3:4]):
        found = read_torch7(t7({1: part}))[1]
        assert found.dtype == np.dtype(kind)
        np.testing.assert_array_equal(found, part)


def test_what_holds_itself_is_read_once():
    thing = Module("nn.X")
    thing.fields["self"] = thing
    found = read_torch7(t7(thing))
    assert found.fields["self"] is found


def test_a_stride_that_nothing_takes_may_be_anything():
    np.testing.assert_array_equal(read_torch7(tensor([1, 4], [2**62, 1], 1, 4)), np.zeros((1, 4)))


def test_damage_is_an_error_or_another_value_and_nothing_else():
    data = bytearray(
        t7(
            {
                "model": chain(Module("nn.Linear", weight=np.ones((2, 3)), bias=np.ones(2)), Module("nn.ReLU")),
                "opt": {"a": "b"},
            }
        )
    )
    for _ in range(2000):
        damaged = bytearray(data)
        for place in RANDOM.integers(0, len(data), 3):
            damaged[place] = RANDOM.integers(0, 256)
        with contextlib.suppress(InputError):
            modules_in(bytes(damaged), "x.t7")


@pytest.mark.parametrize("kind", [6, 7, 8])
def test_code_is_passed_over(kind: int):
    body = struct.pack("<i", kind) + (b"" if kind == 6 else struct.pack("<i", 9)) + text("os.exit()")
    function = body + Writer().value(None)
    pair = Writer().value("f") + function + Writer().value("x") + Writer().value(7.0)
    assert read_torch7(struct.pack("<iii", 3, 1, 2) + pair) == {"f": None, "x": 7}


def tensor(sizes: Sequence[int], strides: Sequence[int], first: int, count: int) -> bytes:
    """A tensor that says what it likes about a storage of `count` zeros."""
    places = struct.pack(f"<i{2 * len(sizes)}q", len(sizes), *sizes, *strides) + struct.pack("<q", first)
    storage = struct.pack("<ii", 4, 2) + text("torch.FloatStorage") + struct.pack("<q", count) + bytes(4 * count)
    return struct.pack("<ii", 4, 1) + text("V 1") + text("torch.FloatTensor") + places + storage


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends in the middle"),
        (t7({"a": 1.0})[:-3], "ends in the middle"),
        (struct.pack("<ii", 2, -5), "a length that is none"),
        (struct.pack("<ii", 2, 2**31 - 1), "a length that is none"),
        (b"4\n1\n3\nV 1\n", "the binary format"),
        (struct.pack("<iii", 3, 1, 2**31 - 1), "ends in the middle"),
        (struct.pack("<iii", 3, 1, 2**31 - 1) + bytes(8_000_100), "says more than any network"),
        (b"".join(struct.pack("<iiii", 3, i, 1, 0) for i in range(200)), "too deep"),
        (tensor([2**40], [0], 1, 4), "more numbers than its storage"),
        (tensor([4], [1], 2, 4), "more numbers than its storage"),
        (tensor([2, 2], [-1, 1], 3, 4), "negative"),
        (tensor([2], [1], -5, 4), "negative"),
        (tensor([2**62, 2**62], [1, 1], 1, 4), "more numbers than its storage"),
        (tensor([1] * 65, [1] * 65, 1, 4), "65 dimensions"),
        (struct.pack("<ii", 4, 1) + text("V 1") + text("nn.X") + Writer().value(3.0), "not written as a table"),
        (struct.pack("<ii", 4, 1) + text("torch.FloatStorage") + struct.pack("<q", 2**60), "a length that is none"),
    ],
    ids=itertools.count(),
)
def test_files_that_mean_no_good_are_one_line(tmp_path: Path, data: bytes, message: str):
    with pytest.raises(ValueError, match=message):
        read_torch7(data)
    (tmp_path / "x.t7").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.t7 is not a file of torch7 that can be read"):
        imported(tmp_path, "x.t7")


def test_a_network_in_a_circle_and_one_that_repeats_its_weights_are_refused(tmp_path: Path):
    inner = chain()
    inner.fields["modules"] = {1: inner, 2: inner}
    (tmp_path / "circle.t7").write_bytes(t7(inner))
    with pytest.raises(InputError, match="more modules than any network"):
        imported(tmp_path, "circle.t7")
    big = Module("nn.SpatialConvolution", weight=np.ones((100, 100, 1, 1)))
    (tmp_path / "again.t7").write_bytes(t7(chain(*[big] * 20)))
    with pytest.raises(InputError, match="names more weights than it holds"):
        imported(tmp_path, "again.t7")
