"""Files of weights that mean no good cost neither hours nor memory, and real ones say what they always said."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from nst.config.backbone import BackboneConfig
from nst.errors import InputError
from tasks.inputs.tensor_headers import tensor_shapes
from tasks.models.backbone_weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BEGINNING = b"".join(pickle.dumps(said, 2) for said in (0x1950A86A20F9469CFC6C, 1001, {}))
"""What every file begins with that torch wrote before its files were zip archives."""

NO_STORAGES = pickle.dumps([], 2)
SET = b"c__builtin__\nset\n"


def legacy(program: bytes) -> bytes:
    return BEGINNING + b"\x80\x02" + program + b"." + NO_STORAGES


def zipped(program: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + program + b".")
    return made.getvalue()


def doubled(times: int) -> bytes:
    """Return the program of a tuple that holds another twice, and so on, by instructions that torch's reader knows."""
    return b")" + b"".join(b"q\x00h\x00\x86" for _ in range(times))


def collisions(number: int) -> bytes:
    """Return the program of numbers that all have the hash 0."""
    return b"".join(pickle.dumps(k * (2**61 - 1), 2)[2:-1] for k in range(1 << 10, (1 << 10) + number))


PROGRAMS = {
    "a key of 2^60 empty tuples, by DUP": b"}()" + b"2\x86" * 60 + b"K\x01u",
    "a key of 2^60 empty tuples, by the memo": b"}(" + doubled(60) + b"K\x01u",
    "a small tuple as a key": b"}(K\x01\x85K\x01u",
    "a value of 2^60 empty tuples": b"}(X\x01\x00\x00\x00a" + doubled(60) + b"u",
    "a call of 2^60 empty tuples": doubled(60) + b")R",
    "a storage whose name is 2^60 empty tuples": doubled(60) + b"Q",
    "attributes of 2^60 empty tuples": b"}" + doubled(60) + b"b",
    "a set of 2^60 empty tuples": SET + b"](" + doubled(60) + b"e\x85R",
    "an OrderedDict of 2^60 empty tuples": b"ccollections\nOrderedDict\n](" + doubled(60) + b"N\x86e\x85R",
    "a count of one hash": b"ccollections\nCounter\n](" + doubled(60) + b"e\x85R",
    "bytes of a slow encoding": b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x04\x00\x00\x00idnatR",
    "keys of one hash": b"}(" + collisions(20) + b"u",
    "a list that holds itself": b"]q\x00h\x00a\x85",
    "a memo of 400 million places": b"}K\x01r\xff\xff\xff\x17\x300",
    "bytes of 4 TiB": b"}\x96" + struct.pack("<Q", 2**42),
    "text of 4 GiB": b"}X" + struct.pack("<I", 2**32 - 1),
    "a bytearray of 2 GiB": b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R",
    "a tensor of 2^62 numbers": b"ctorch\nTensor\n\x8a\x08" + struct.pack("<Q", 2**62) + b"\x85\x81",
    "a shape of negative numbers": b"}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor\n(NK\x00(J\xff\xff\xff\xfft)tRs",
    "what an instruction takes is not there": b"}u",
    "nothing": b"",
}


@pytest.mark.parametrize("wrap", [legacy, zipped])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_pickle_that_means_no_good_is_one_line(
    tmp_path: Path, program: str, wrap: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks.inputs.torch_pickle._MOST_STEPS", 10_000)
    path = tmp_path / "w.pth"
    path.write_bytes(wrap(PROGRAMS[program]))
    for read in (shapes, load):
        with pytest.raises(InputError, match=r"w\.pth is not a file of torch's weights: .") as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert len(caught.value.message) < len(str(path)) + 200


def test_a_pickle_without_end_is_refused(tmp_path: Path):
    path = tmp_path / "w.pth"
    path.write_bytes(legacy(b"(" + b"N" * 5_000_000 + b"t"))
    with pytest.raises(InputError, match="says more than any list of tensors"):
        shapes(path)


def test_planning_refuses_hostile_files_within_a_small_memory(tmp_path: Path):
    chosen = [name for name in PROGRAMS if name.startswith("a key of 2^60") or " of 4" in name or "GiB" in name]
    for number, name in enumerate(chosen):
        (tmp_path / f"{number}.pth").write_bytes(legacy(PROGRAMS[name]))
    code = (
        "import resource, sys, pathlib\nfrom nst.errors import InputError\n"
        "from tasks.inputs.tensor_headers import tensor_shapes\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    try:\n        tensor_shapes(path.open('rb'), str(path), path.stat().st_size)\n"
        "    except InputError:\n        print('refused')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["refused"] * len(chosen), ran.stderr


def test_archives_that_unpack_to_more_than_they_hold_are_refused(tmp_path: Path):
    path = tmp_path / "w.pth"
    torch.save({"features.0.weight": torch.zeros(1000)}, path)
    whole = zipfile.ZipFile(path)
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for info in whole.infolist():
            packed.writestr(info.filename, whole.read(info))
    with zipfile.ZipFile(tmp_path / "two.pth", "w") as packed:
        for name in ("a/data.pkl", "b/DATA.PKL"):
            packed.writestr(name, b"\x80\x02}.")
    for name in ("bomb.pth", "two.pth"):
        for read in (shapes, load):
            with pytest.raises(InputError, match=f"{name} is not a file of torch's weights"):
                read(tmp_path / name)


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with path.open("rb") as file:
        return tensor_shapes(file, str(path), path.stat().st_size)


def load(path: Path) -> dict[str, torch.Tensor]:
    return load_weights(BackboneConfig(), str(path), f"sha256-{hashlib.sha256(path.read_bytes()).hexdigest()}")


def real_files() -> dict[str, Any]:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Linear(4, 4))
    optimizer = torch.optim.AdamW(
        [{"params": list(layer.parameters()), "lr": 0.1} for layer in model], betas=(0.5, 0.75), amsgrad=True
    )
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 5])
    sum(parameter.square().sum() for parameter in model.parameters()).backward()
    optimizer.step()
    schedule.step()
    shared = torch.arange(12.0)
    types = (torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.bool, torch.complex64)
    return {
        "tensors": {"a": torch.ones(2, 3), "scalar": torch.tensor(1.0), "empty": torch.ones(0, 3)},
        "parameters": {"a": torch.nn.Parameter(torch.ones(2, 3)), "b": torch.nn.Parameter(torch.ones(3).half())},
        "ordered": OrderedDict((("b", torch.ones(2)), ("a", torch.ones(3)))),
        "a state": model.state_dict(),
        "a checkpoint": {
            "state_dict": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "epoch": 3,
            "seed": 2**63 + 1,
            "size": torch.ones(2, 3).shape,
            "device": torch.device("cpu"),
            "dtype": torch.float16,
            "best": 0.5,
            "raw": [b"\xff\x00", bytearray(b"\xff"), {1, "a"}],
            "notes": ["ä", None, True, (1, (2, 3))],
            "extra": torch.ones(7),
        },
        "views": {"whole": shared, "part": shared[2:8].view(2, 3).t(), "again": shared, "wide": shared[:1].expand(9)},
        "types": {str(kind): torch.zeros(3, dtype=kind) for kind in types},
        "numbers as keys": {0: torch.ones(2), 2**40: torch.ones(3), "text": "no tensor"},
    }


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("kind", real_files())
def test_real_files_say_what_torch_loads(tmp_path: Path, kind: str, old: bool):
    path = tmp_path / "w.pth"
    torch.save(real_files()[kind], path, _use_new_zipfile_serialization=not old)
    loaded = torch.load(path, weights_only=True)
    expected = {str(key): tuple(value.shape) for key, value in loaded.items() if isinstance(value, torch.Tensor)}
    assert shapes(path) == expected
    assert expected


def test_a_large_state_is_read(tmp_path: Path):
    path = tmp_path / "w.pth"
    torch.save({f"layers.{number}.weight": torch.ones(2) for number in range(5000)}, path)
    assert len(shapes(path)) == 5000


def header(text: str, body: bytes = bytes(4)) -> bytes:
    return len(text).to_bytes(8, "little") + text.encode() + body


def one(dtype: str = '"F32"', shape: str = "[1]", places: str = "[0,4]") -> str:
    return f'{{"a":{{"dtype":{dtype},"shape":{shape},"data_offsets":{places}}}}}'


@pytest.mark.parametrize(
    "text",
    [
        one(shape="[1e999]"),
        one(places="[0,1e999]"),
        one(shape="[NaN]"),
        one(shape="[1.0]"),
        one(shape="[true]"),
        one(shape='["1"]'),
        one(shape="[-1]"),
        one(shape="[-1,-1]"),
        one(shape="[2]"),
        one(shape=f"[{2**63}]"),
        one(shape=f"[{10**4000}]"),
        one(shape=json.dumps([10**300] * 50)),
        one(shape=json.dumps([1] * 65)),
        one(shape="1"),
        one(shape="{}"),
        one(places="[0]"),
        one(places="[0,4,4]"),
        one(places="[4,0]"),
        one(places="[false,4]"),
        one(places="[0.0,4]"),
        one(shape="[0]", places="[4,4]"),
        one(dtype="32"),
        one(dtype='"F31"'),
        one(dtype="[]"),
        '{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"b":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}',
        '{"a":4}',
        "[1]",
        "1e999",
    ],
)
def test_a_header_of_impossible_numbers_is_one_line(tmp_path: Path, text: str):
    path = tmp_path / "w.safetensors"
    path.write_bytes(header(text))
    with pytest.raises(InputError, match=re.escape(f"{path} is not a safetensors file: its header")) as caught:
        shapes(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        load(path)


def test_a_key_that_is_said_twice_is_not_believed(tmp_path: Path):
    twice = one()[:-1] + "," + one(shape="[2]", places="[4,12]")[1:]
    path = tmp_path / "w.safetensors"
    path.write_bytes(header(twice, bytes(12)))
    with pytest.raises(InputError, match="its header cannot be read"):
        shapes(path)


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.int16, torch.bool, torch.float8_e4m3fn])
def test_headers_that_the_library_writes_are_read(tmp_path: Path, kind: torch.dtype):
    tensors = {"b": torch.ones(2, 3).to(kind), "a": torch.ones(()).to(kind), "none": torch.ones(0, 3).to(kind)}
    path = tmp_path / "w.safetensors"
    path.write_bytes(save(tensors, {"notes": "x"}))
    assert shapes(path) == {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def test_headers_of_real_files_are_read(shared_data: Path):
    files = sorted(shared_data.glob("weights/**/*.safetensors"))
    assert files
    for path in files:
        with safe_open(path, "pt") as file:
            expected = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        assert shapes(path) == expected
