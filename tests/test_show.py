"""Pictures carry the manifest that makes them again, and `nst show` prints it: run, it gives the same bits."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
import zlib
from io import BytesIO
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, opened
from PIL import Image
from sweeps import TINY, write_pictures
from typer.testing import CliRunner
from warm import nst as command

import nst
from flows.__main__ import app
from nst.errors import InputError
from nst.pictures.images import encode, read_provenance
from nst.pictures.xmp import manifest_in, with_manifest
from nst.records import OutputFormat

HOSTILE = "a: '</nst:manifest><x>&amp;\"'\n# Ümlaut 星 \U0001f600 ]]>\n"


def pixels(data):
    with Image.open(BytesIO(data)) as image:
        image.verify()  # the checksums of PNG's chunks
    with Image.open(BytesIO(data)) as image:
        return np.array(image)


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("text", [HOSTILE, "x" * 40_000, "odd", "even"])
def test_a_picture_carries_a_manifest_and_keeps_its_pixels_and_its_other_metadata(form, text):
    array = np.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    data = encode(array, OutputFormat(form), {"cell_id": "abc"})
    carrying = with_manifest(data, text)
    assert manifest_in(carrying) == text
    assert manifest_in(data) == ""
    assert np.array_equal(pixels(carrying), pixels(data))
    assert read_provenance(carrying) == {"cell_id": "abc"}
    assert len(carrying) - len(data) < len(text.encode()) + 500


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_other_programs_find_it_where_xmp_belongs(form):
    """Pillow finds the packet, and a parser of XML its text."""
    data = with_manifest(encode(np.zeros((4, 4, 3), np.uint8), OutputFormat(form), {}), HOSTILE)
    with Image.open(BytesIO(data)) as image:
        packet = image.info["xmp"]
    found = ET.fromstring(packet).iter("{urn:nst:1}manifest")
    assert [element.text for element in found] == [HOSTILE]


def test_a_jpeg_that_cannot_hold_it_and_other_files_stay_as_they_are():
    data = encode(np.zeros((4, 4, 3), np.uint8), OutputFormat("jpeg"), {})
    assert with_manifest(data, "x" * 70_000) == data
    assert with_manifest(b"a clip", "x") == b"a clip"
    with pytest.raises(InputError, match="not a picture"):
        manifest_in(b"a clip")
    with Image.open(BytesIO(with_manifest(data, "x"))) as image:
        assert image.format == "JPEG"


MANIFEST = f"""
name: shown
contents: [{{uri: cat.png, name: "Cat_1"}}, dog.png]
styles:
  - {{uri: waves.png, scale: 0.5}}
  - {{name: both, mix: losses, images: [{{uri: waves.png, weight: 1}}, {{uri: cat.png, weight: 3}}]}}
methods:
  - {{name: gatys, {TINY}}}
  - {{name: gatys, {TINY}, optimizer: {{name: adam, learning_rate: 0.03}}}}
  - {{name: texture, size: 32, steps: 2, style_layers: relu1_1, backbone: {{weights: random}}}}
output: {{format: jpeg, quality: 83}}
sweep: {{seed: [0, 7]}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_pictures(tmp_path_factory.mktemp("work"))
    (folder / "umlaut ö 'q\".png").write_bytes((folder / "dog.png").read_bytes() + b" ")
    text = MANIFEST.replace("dog.png", '"umlaut ö \'q\\".png"')
    (folder / "m.yaml").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = nst.run("m.yaml", progress=False)
    assert (made.failed, made.failures) == (0, ())
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def shown(*arguments):
    said = CliRunner().invoke(app, ["show", *map(str, arguments)], catch_exceptions=False)
    assert said.exit_code == 0, said.output
    return said.stdout


def test_what_is_shown_makes_the_same_cells_with_the_same_bits(here, tmp_path, monkeypatch):
    done = command("export", "shown", tmp_path / "out", cwd=here)
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(tmp_path / "out/catalog.csv").set_index("cell_id")
    assert len(rows) >= 10
    for cell, row in rows.iterrows():
        file = tmp_path / "out" / row.file
        assert hashlib.sha256(file.read_bytes()).hexdigest() != row.picture_digest
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            text = shown(file)  # without the root
        assert shown(cell[:12]) == text
        (tmp_path / f"{cell}.yaml").write_text(text, encoding="utf-8")
        again = nst.plan(tmp_path / f"{cell}.yaml")
        assert (again.total, again.to_do) == (1, 0), text  # the same id
    for cell, row in list(rows.iterrows())[::5]:  # and, made anew below another root, the same picture
        made = nst.run(tmp_path / f"{cell}.yaml", root=tmp_path / "anew", progress=False).results()
        assert (made.cell_id[0], made.picture_digest[0]) == (cell, row.picture_digest)


def test_pictures_below_the_root_keep_their_bytes_and_are_shown_by_it(here):
    row = pd.read_parquet("out/catalog/results").iloc[0]
    (file,) = here.glob(f"out/pictures/*/{row.picture_digest}.*")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == row.picture_digest
    assert command("show", file, cwd=here).stdout == command("show", row.cell_id, cwd=here).stdout
    elsewhere = command("show", file, "--root", "nowhere", cwd=here)
    assert elsewhere.returncode == 2
    assert "there is no cell" in elsewhere.stderr


def test_a_size_that_came_from_the_picture_is_asked_for_again(here):
    method = {"name": "baseline", "size": "original"}
    made = nst.run({"name": "own", "contents": "cat.png", "styles": "waves.png", "method": method}, progress=False)
    shown = command("show", made.results().cell_id[0], cwd=here).stdout
    assert 'size: "original"' in shown
    (here / "own.yaml").write_text(shown)
    assert nst.plan("own.yaml").to_do == 0


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("abc", "at least 4 char"), ("zzzzzz", "there is no cell 'zzzzzz'"), ("plain.png", "does not tell what made"),
     ("m.yaml", "does not tell what made")],
)  # fmt: skip
def test_what_cannot_be_shown_is_said(here, wanted, message):
    Image.new("RGB", (4, 4)).save("plain.png")
    done = command("show", wanted, cwd=here)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


# ---- a folder with its page ---------------------------------------------------------------------------------------
def test_an_archive_holds_the_folder(here, tmp_path):
    assert command("export", "shown", tmp_path / "shown", "--page", cwd=here).returncode == 0
    for _ in range(2):  # an archive that is there is replaced
        assert command("export", "shown", tmp_path / "shown.zip", "--page", cwd=here).returncode == 0
    with zipfile.ZipFile(tmp_path / "shown.zip") as archive:
        assert archive.testzip() is None
        packed = {name: zlib.crc32(archive.read(name)) for name in archive.namelist()}
    files = [file for file in (tmp_path / "shown").rglob("*") if file.is_file()]
    assert {f"shown/{file.relative_to(tmp_path / 'shown')}": zlib.crc32(file.read_bytes()) for file in files} == packed
    assert sorted(file.name for file in tmp_path.iterdir()) == ["shown", "shown.zip"]
    (tmp_path / "folder.zip").mkdir()
    done = command("export", "shown", tmp_path / "folder.zip", cwd=here)
    assert done.returncode == 2
    assert "cannot write to" in done.stderr


def test_the_page_names_files_beside_it_and_the_table_too(here, tmp_path):
    assert command("export", "shown", tmp_path / "shown", "--page", cwd=here).returncode == 0
    rows = pd.read_csv(tmp_path / "shown/catalog.csv")
    assert all((tmp_path / "shown" / file).is_file() for file in rows.file)
    text = (tmp_path / "shown/index.html").read_text()
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    for name in ("pictures", "thumbs"):
        assert len(data[name]) == len(rows)
        assert all(link.startswith(f"{name}/") for link in data[name])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.slow
def test_the_exported_page_opens_from_a_file_anywhere(here, tmp_path):
    pytest.importorskip("websockets.sync.client")
    assert command("export", "shown", tmp_path / "shown", "--page", cwd=here).returncode == 0
    away = tmp_path / "away # with?odd %41 name"
    shutil.move(tmp_path / "shown", away)
    with opened(away / "index.html", tmp_path / "profile") as tab:
        tab.open("view=list")
        cells = len(pd.read_csv(away / "catalog.csv"))
        assert tab.js("document.querySelectorAll('.cell').length") == cells
        tab.until("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
        tab.js("document.querySelector('.cell').click()")
        tab.until("document.querySelector('#stage img').naturalWidth > 0")
        assert "/pictures/" in tab.js("document.querySelector('#stage img').src")
        assert [url for url in tab.requests if not url.startswith((away.as_uri(), "data:", "about:"))] == []
        assert tab.faults == []


def test_a_model_has_no_page(here):
    done = command("export", "nothing", "x", "--page", cwd=here)
    assert done.returncode == 2
    assert "no sweep 'nothing'" in done.stderr
