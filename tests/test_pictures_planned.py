"""What planning sees in pictures before anything starts: headers, sizes, masks; what it remembers of them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zlib

import numpy as np
import pytest
from cells import blocks
from PIL import Image
from sweeps import plan, write, write_pictures

from nst.errors import InputError, ManifestError
from nst.pictures.decoding import measure
from tasks.inputs import looking

DEEP = "method: {name: gatys, size: 32, steps: 1, backbone: {weights: random}, pyramid: {levels: 1}}"
START = "name: seen\nstyles: waves.png\n"


@pytest.fixture
def folder(tmp_path):
    return write_pictures(tmp_path)


def test_a_broken_picture_that_is_named_is_refused_at_its_place(folder):
    (folder / "cat.png").write_bytes(b"this is no picture")
    with pytest.raises(ManifestError, match=r"m.yaml:3:14: error: .*cat.png: not a picture in a known format"):
        plan(folder, f"{START}contents: [  cat.png, dog.png]\n{DEEP}\n")


@pytest.mark.parametrize("named", ["photos", "photos/*.png"])
def test_one_of_many_costs_its_own_cells_and_is_told(folder, named):
    (folder / "photos").mkdir()
    for name in ("cat", "dog"):
        (folder / f"{name}.png").rename(folder / "photos" / f"{name}.png")
    (folder / "photos/empty.png").write_bytes(b"")
    (folder / "photos/text.png").write_bytes(b"this is no picture")
    prepared = plan(folder, f"{START}contents: {named}\n{DEEP}\n")
    assert prepared.plan.total == 4
    (note,) = prepared.notes
    title, first, second = note.splitlines()
    assert title == "2 of 4 contents cannot be used:"
    assert first.endswith("empty.png: the file is empty")
    assert "text.png: not a picture in a known format" in second
    assert prepared.to_json()["remarks"][-1] == note


def test_a_picture_too_small_for_its_layers_is_refused_with_both_numbers(folder):
    write(folder / "ribbon.png", blocks(0, 10, 64))  # 32 x 5 at size 32; relu5_1 of VGG-19 has one position in 16
    with pytest.raises(ManifestError, match=r"m.yaml:3:11: error: ribbon: .* is 32 x 5 pixels .* relu5_1 needs 16"):
        plan(folder, f"{START}contents: ribbon.png\n{DEEP}\n")
    with pytest.raises(ManifestError, match=r"m.yaml:2:9: error: ribbon: the style image is 32 x 5 "):
        plan(folder, f"name: seen\nstyles: ribbon.png\ncontents: cat.png\n{DEEP}\n")
    shallow = DEEP.replace("steps: 1", "steps: 1, content_layers: relu1_1, style_layers: relu2_1")
    assert plan(folder, f"{START}contents: ribbon.png\n{shallow}\n").plan.total == 1


def test_patches_need_their_own_side_in_positions(folder):
    """relu3_1 of a VGG has a position for every 4 pixels: a patch of 6 needs 24, and the picture is 32 x 24."""
    text = f"{START}contents: cat.png\n" + DEEP.replace("gatys", "mrf, style_layers: relu3_1, content_layers: relu3_1")
    assert plan(folder, text.replace("steps: 1", "steps: 1, patch_size: 6")).plan.total == 1
    with pytest.raises(ManifestError, match=r"m.yaml:3:11: error: cat: the content image is 32 x 24 .* needs 28"):
        plan(folder, text.replace("steps: 1", "steps: 1, patch_size: 7"))


def test_a_mask_of_other_proportions_than_its_picture_is_told(folder):
    write(folder / "mask.png", np.full((60, 20, 3), (255, 0, 0), np.uint8))
    text = (
        f"name: seen\nstyles: {{uri: waves.png, mask: '#ff0000'}}\ncontents: {{uri: cat.png, mask: mask.png}}\n{DEEP}\n"
    )
    (note,) = plan(folder, text).notes
    assert note.endswith("cat is 40 x 30 pixels, its mask 20 x 60")
    write(folder / "mask.png", np.full((60, 80, 3), (255, 0, 0), np.uint8))
    assert plan(folder, text).notes == ()


def test_what_was_seen_is_remembered_until_the_file_changes(folder, monkeypatch):
    text = f"{START}contents: cat.png\n{DEEP}\n"
    plan(folder, text)
    known = json.loads((folder / "out/state/digests.json").read_bytes())
    assert sorted(seen for _, _, seen in known.values()) == ["36x36", "40x30"]
    opened = []
    monkeypatch.setattr(looking, "measure", lambda file: opened.append(file.name) or measure(file))
    plan(folder, text)
    assert opened == []
    write(folder / "cat.png", blocks(5, 31, 41))
    plan(folder, text)
    assert [name.rpartition("/")[2] for name in opened] == ["cat.png"]


def test_the_command_ends_with_2_before_any_device_starts(folder):
    (folder / "cat.png").write_bytes(b"GIF89a")
    (folder / "m.yaml").write_text(f"{START}contents: cat.png\n{DEEP}\n")
    for command in (["plan"], ["run", "--inline"]):
        line = [sys.executable, "-m", "flows", command[0], "m.yaml", *command[1:]]
        ran = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
        assert ran.returncode == 2
        assert "m.yaml:3:11: error: " in ran.stderr
        assert "no CUDA" not in ran.stderr


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "PPM", "JPEG2000"])
def test_a_header_gives_the_size_of_the_upright_picture(name):
    data, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(blocks(0, 30, 40)).save(data, name, **({"exif": exif} if name in {"PNG", "JPEG", "TIFF"} else {}))
    expected = (30, 40) if name in {"PNG", "JPEG", "TIFF"} else (40, 30)
    assert measure(io.BytesIO(data.getvalue())) == expected


@pytest.mark.parametrize("name", ["WEBP", "AVIF"])
def test_headers_that_only_native_code_reads_are_left_to_the_worker(name):
    data = io.BytesIO()
    Image.fromarray(blocks(0, 30, 40)).save(data, name)
    assert measure(io.BytesIO(data.getvalue())) is None


def test_a_bomb_is_refused_by_its_header_alone():
    header = b"\0\0\0\rIHDR" + (200_000).to_bytes(4) * 2 + b"\x08\x02\0\0\0"
    data = b"\x89PNG\r\n\x1a\n" + header + zlib.crc32(header[4:]).to_bytes(4) + b"\0\0\0\0IDAT" + bytes(4)
    with pytest.raises(InputError, match=r"40,000,000,000 pixels|cannot be decoded"):
        measure(io.BytesIO(data))
