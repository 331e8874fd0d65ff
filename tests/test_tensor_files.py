"""Tensors as bytes: the library reads what we write, and equal contents are equal bytes."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from tasks.models.tensor_files import dump_tensors, load_tensors

TENSORS = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor([1, 2, 3]), "scalar": torch.tensor(2.5)}
NOTES = {"format": "x", "config": json.dumps({"a": "ä\n"}), "z": ""}


def test_the_library_reads_what_is_written(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(dump_tensors(TENSORS, NOTES))
    with safe_open(path, "pt") as file:
        assert file.metadata() == NOTES
        assert {key: file.get_tensor(key).tolist() for key in file.keys()} == {  # noqa: SIM118  it is no mapping
            key: tensor.tolist() for key, tensor in TENSORS.items()
        }


def test_what_the_library_writes_is_read():
    notes, tensors = load_tensors(save(TENSORS, NOTES))
    assert notes == NOTES
    assert all(torch.equal(tensors[key], TENSORS[key]) for key in TENSORS)
    assert load_tensors(save(TENSORS))[0] == {}


def test_equal_contents_are_equal_bytes():
    data = dump_tensors(TENSORS, NOTES)
    assert dump_tensors(dict(reversed(TENSORS.items())), dict(reversed(NOTES.items()))) == data
    assert int.from_bytes(data[:8], "little") % 8 == 0


@pytest.mark.parametrize("data", [b"", b"nothing", b"\xff" * 64, dump_tensors(TENSORS, NOTES)[:-1]])
def test_other_bytes_are_refused(data):
    with pytest.raises((SafetensorError, ValueError)):
        load_tensors(data)
