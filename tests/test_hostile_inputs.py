"""Folders, links and manifests that mean no good: bounded reads, bounded walks, no way around, nothing told."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import threading
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from flows.__main__ import app
from nst.errors import InputError, UserError
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.bounds import Bounds
from tasks.inputs.digests import Digests, _name
from tasks.inputs.folders import files_below
from tasks.inputs.images import FoundImage, find_images, image_refs, stem
from tasks.inputs.manifest_source import read_manifest
from tasks.inputs.uris import glob_uri, read_uri
from tasks.store import Patience, open_store
from tasks.store.contract import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METHOD = "method: {name: gatys, size: 24, steps: 1, backbone: {weights: random}}\n"
SECRET = "X-Amz-Signature=c0ffee"


def noise(seed: int) -> bytes:
    return encode(np.random.default_rng(seed).integers(0, 256, (40, 48, 3), np.uint8), OutputFormat(), {})


class _Site(http.server.BaseHTTPRequestHandler):
    """Answers GET alone, as a link that is signed for GET does: some bytes without end, a picture, a manifest."""

    manifest = b""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        bodies = {
            "/endless.png": itertools.repeat(b"." * 65_536),
            "/drip.png": self._drops(),
            "/m.yaml": [self.manifest],
            "/signed.png": [noise(1)] if query == SECRET else [],
        }
        self.send_response(200 if path in bodies and (query == SECRET or "signed" not in path) else 403)
        self.end_headers()
        with contextlib.suppress(OSError):
            for piece in bodies.get(path, ()):
                self.wfile.write(piece)

    @staticmethod
    def _drops() -> Iterator[bytes]:
        while not threading.Event().wait(0.01):
            yield b"."

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_body_without_end_is_given_up(site: str):
    with pytest.raises(UnreadableError, match="more than the 1,000,000"):
        read_uri(f"{site}/endless.png", max_bytes=1_000_000)


def test_a_body_that_comes_drop_by_drop_is_given_up(site: str):
    with pytest.raises(UnreadableError, match="comes too slowly"):
        read_uri(f"{site}/drip.png", patience=Patience(deadline=0.5))


def test_an_image_that_cannot_be_read_has_a_fault_and_the_others_their_digests(tmp_path: Path, site: str):
    (tmp_path / "a.png").write_bytes(noise(0))
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(200 * 10**9)
    base = BaseUri.of(f"{tmp_path}/m.yaml")
    stats = [*find_images(str(tmp_path), base), *find_images(f"{site}/endless.png", base)]
    digests = Digests(open_store(tmp_path / "root"))
    found = image_refs([FoundImage(stem(stat.key), stat, None) for stat in stats], digests)
    assert [bool(ref.fault) for ref in found] == [False, True, True]
    assert "huge.png has 200,000,000,000 bytes" in found[1].fault
    assert len({ref.digest for ref in found}) == 3
    with pytest.raises(UnreadableError, match=r"huge\.png"):
        digests.of(stats)


def test_one_image_that_is_too_large_costs_its_own_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/c.png").write_bytes(noise(0))
    (tmp_path / "s.png").write_bytes(noise(1))
    with (tmp_path / "photos/huge.png").open("wb") as file:
        file.truncate(200 * 10**9)
    (tmp_path / "m.yaml").write_text(f"name: a\ncontents: photos/\nstyles: s.png\n{METHOD}")
    run = CliRunner().invoke(app, ["run", "m.yaml", "--inline"])
    assert run.exit_code == 1, run.output
    assert list(pd.read_parquet("out/catalog/results").content_name) == ["c"]
    failures = pd.read_parquet("out/catalog/failures")
    assert list(failures.content_name) == ["huge"]
    assert failures.error_message.str.contains("huge.png has 200,000,000,000 bytes").all()


@pytest.mark.parametrize("contents", [".", "*.png", "**/*.png", "beside/", "[c, beside/*.png]"])
def test_a_sweep_never_eats_its_own_pictures(tmp_path: Path, contents: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    names = ["c.png", "s.png"]
    for seed, name in enumerate(names):
        (tmp_path / name).write_bytes(noise(seed))
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/out").symlink_to("../out")
    (tmp_path / "beside/b.png").write_bytes(noise(3))
    (tmp_path / "c").mkdir()
    (tmp_path / "c/d.png").write_bytes(noise(4))
    (tmp_path / "m.yaml").write_text(f"name: a\ncontents: {contents}\nstyles: s.png\n{METHOD}")
    base = BaseUri.of("m.yaml", root="out")
    patterns = contents.strip("[]").split(", ")
    before = [stat.key for pattern in patterns for stat in find_images(pattern, base)]
    (tmp_path / "out/pictures/ab").mkdir(parents=True)
    (tmp_path / "out/pictures/ab/made.png").write_bytes(noise(5))
    (tmp_path / "beside/link.png").symlink_to("../out/pictures/ab/made.png")
    assert [stat.key for pattern in patterns for stat in find_images(pattern, base)] == before


@pytest.mark.parametrize(
    "name", ["out/", "out/pictures/a.png", "./x/../out/pictures", "link/a.png", "out/p*/*.png",
             "link/*", "FILE:{0}/out/pictures/a.png"]
)  # fmt: skip
def test_a_result_that_is_named_is_refused_however_it_is_spelled(tmp_path: Path, name: str):
    (tmp_path / "out/pictures").mkdir(parents=True)
    (tmp_path / "x").mkdir()
    (tmp_path / "out/pictures/a.png").write_bytes(b"")
    (tmp_path / "link").symlink_to("out/pictures")
    with pytest.raises(InputError, match="lies below the root"):
        find_images(name.format(tmp_path), BaseUri.of(f"{tmp_path}/m.yaml", root=f"{tmp_path}/x/../out"))


def test_results_in_a_bucket_are_no_inputs(s3):
    bucket = s3.bucket()
    store = open_store(bucket)
    for key in ("a.png", "out/pictures/b.png", "outside/c.png", "out/manifests/nightly/d.png"):
        store.put(key, b"")
    base = BaseUri.of(f"{bucket}/m.yaml", root=f"{bucket}/out")
    found = [stat.key.removeprefix(f"{bucket}/") for stat in find_images(f"{bucket}/", base)]
    assert found == ["a.png", "out/manifests/nightly/d.png", "outside/c.png"]
    for name in (f"{bucket}/out/pictures/b.png", f"{bucket}/out/pictures", f"S{bucket[1:]}/out/pictures/b.png"):
        with pytest.raises(InputError, match="lies below the root"):
            find_images(name, base)


def test_links_that_lead_back_cost_nothing(tmp_path: Path):
    for name in ("a.png", "deep/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for number in range(40):
        (tmp_path / f"again-{number}").symlink_to(".")
        (tmp_path / f"deep/up-{number}").symlink_to("..")
    assert [stat.key for stat in glob_uri(str(tmp_path))] == [f"{tmp_path}/a.png", f"{tmp_path}/deep/b.png"]
    assert [stat.key for stat in glob_uri(f"{tmp_path}/**/*.png")] == [f"{tmp_path}/a.png", f"{tmp_path}/deep/b.png"]
    assert len(glob_uri(f"{tmp_path}/*/*.png")) == 2  # each real folder once at a depth: deep/b.png, again-0/a.png


def test_a_linked_folder_is_walked_once_under_its_own_name(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.png").write_bytes(b"")
    (tmp_path / "alias").symlink_to("real")
    assert [stat.key for stat in glob_uri(str(tmp_path))] == [f"{tmp_path}/real/a.png"]
    assert [stat.key for stat in glob_uri(f"{tmp_path}/alias")] == [f"{tmp_path}/alias/a.png"]


def test_a_folder_of_too_many_entries_is_the_users_to_narrow(tmp_path: Path):
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(b"")
    assert len(list(files_below(f"{tmp_path}/", "**", Bounds(), most=20))) == 20
    with pytest.raises(InputError, match="too many files"):
        list(files_below(f"{tmp_path}/", "**", Bounds(), most=19))


def test_a_pattern_of_many_stars_is_matched_at_once(tmp_path: Path):
    (tmp_path / ("a" * 200)).write_bytes(b"")
    with pytest.raises(InputError, match="matches no file"):
        glob_uri(f"{tmp_path}/{'*a' * 60}*b")


FILES = ["/{0}/secret", "FILE:///{0}/secret", "file:/{0}/secret", "File://localhost/{0}/secret", "//{0}/secret",
         "file:////{0}/secret"]  # fmt: skip


KEYS = {
    "extends": "extends: NAMED\n" + METHOD,
    "contents": "contents: NAMED\n" + METHOD,
    "mask": "contents: {uri: s3://b/x.png, mask: NAMED}\n" + METHOD,
    "weights": "contents: PICTURE\nmethod: {name: gatys, backbone: {weights: NAMED}}\n",
    "model": "contents: PICTURE\nmethod: {name: feedforward, family: adain, model: NAMED}\n",
}


@pytest.mark.parametrize("spelled", [*FILES, "..%2f..{0}/secret", "..\\..\\secret"])
@pytest.mark.parametrize("key", KEYS)
def test_a_manifest_from_the_web_reaches_no_local_file(
    tmp_path: Path, site: str, spelled: str, key: str, monkeypatch: pytest.MonkeyPatch
):
    ending = ".safetensors" if key == "model" else ""
    (tmp_path / f"secret{ending}").write_text("root:x:0:0")
    picture = f"{site}/signed.png?{SECRET}"
    named = repr(spelled.format(str(tmp_path).lstrip("/")) + ending)
    lines = KEYS[key].replace("NAMED", named).replace("PICTURE", picture)
    styles = f"styles: {{uri: {picture}, mask: '#ff0000'}}\n" if key == "mask" else f"styles: {picture}\n"
    monkeypatch.setattr(_Site, "manifest", f"name: a\n{lines}{styles}".encode())
    run = CliRunner().invoke(app, ["plan", f"{site}/m.yaml", "--root", str(tmp_path / "root")])
    assert isinstance(run.exception, UserError), run.output
    assert ("is a local file" in str(run.exception)) == (spelled in FILES)
    assert "root:x" not in f"{run.output}{run.exception}"
    assert not list((tmp_path / "root").rglob("*"))


def test_a_manifest_of_this_machine_that_extends_one_of_the_web_lends_it_no_files(
    tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "secret").write_text("root:x:0:0")
    (tmp_path / "m.yaml").write_text(f"extends: {site}/m.yaml\nname: a\n")
    for spelled in (f"{tmp_path}/secret", f"FILE://{tmp_path}/secret"):
        monkeypatch.setattr(_Site, "manifest", f"extends: {spelled}\n".encode())
        with pytest.raises(UserError, match="is a local file") as caught:
            read_manifest(str(tmp_path / "m.yaml")).declaration.reporter().raise_any()
        assert "root:x" not in str(caught.value)
    for spelled in (*FILES, "../secret", "~/secret", "x/../../secret"):
        named = repr(spelled.format(str(tmp_path).lstrip("/")))
        monkeypatch.setattr(_Site, "manifest", f"method: {{backbone: {{weights: {named}}}}}\n".encode())
        with pytest.raises(UserError, match=r"m\.yaml:1:\d+: error: a local file, named by a manifest"):
            read_manifest(str(tmp_path / "m.yaml")).declaration.reporter().raise_any()


def test_no_link_leads_out_of_the_folder_that_a_remote_manifest_was_given(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(b"")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/s.png").write_bytes(b"")
    (tmp_path / "in/folder").symlink_to("../secret")
    (tmp_path / "in/file.png").symlink_to("../secret/s.png")
    base = BaseUri.of("s3://bucket/m.yaml", str(tmp_path / "in"))
    for uri in ("folder/s.png", "file.png", "folder/", "folder/*.png", f"FILE://{tmp_path}/secret/s.png"):
        with pytest.raises(InputError, match="is a local file"):
            find_images(uri, base)
    for uri in (".", "*.png", "**"):
        assert [stat.key for stat in find_images(uri, base)] == [f"file://{tmp_path}/in/a.png"]


def test_a_signature_is_neither_stored_nor_shown(tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    link = f"{site}/signed.png?{SECRET}"
    Image.effect_noise((64, 64), 60).save(tmp_path / "photo.jpg")
    (tmp_path / "photo.jpg").write_bytes((tmp_path / "photo.jpg").read_bytes()[:-200])  # planning sees its beginning
    text = f"name: a\ncontents: [{{uri: '{link}'}}, photo.jpg]\nstyles: {link}\n{METHOD}"
    (tmp_path / "m.yaml").write_text(text)
    run = CliRunner().invoke(app, ["run", "m.yaml", "--inline"])
    assert "1 done" in run.output
    tables = [pd.read_parquet(f"out/catalog/{name}") for name in ("results", "sweeps", "failures")]
    assert tables[0].content_uri.tolist() == [f"{site}/signed.png"]
    assert tables[0].content_name.tolist() == ["signed"]
    shown = run.output + "".join(table.to_csv() for table in tables)
    stored = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert "c0ffee" not in shown
    assert b"c0ffee" not in stored
    (tmp_path / "m.yaml").write_text(f"name: a\ncontents: {site}/gone.png?{SECRET}\nstyles: {link}\n{METHOD}")
    refused = CliRunner().invoke(app, ["plan", "m.yaml"])
    assert isinstance(refused.exception, UserError)
    assert "gone.png" in str(refused.exception)
    assert "c0ffee" not in f"{refused.output}{refused.exception}"


def test_links_that_differ_in_their_query_alone_are_remembered_apart():
    assert _name("https://host/a?id=1") != _name("https://host/a?id=2")
    assert "id=" not in _name("https://host/a?id=1")


@pytest.mark.parametrize(
    ("uri", "name"),
    [("q?mark.png", "q?mark"), ("a%20b.png", "a%20b"), ("/x/c#1.png", "c#1"), ("s3://b/a%41?.png", "a%41?"),
     ("https://host/a%20b.png?sig=x.y", "a b")],
)  # fmt: skip
def test_names_of_files_and_objects_are_kept_and_those_of_links_decoded(uri: str, name: str):
    assert stem(uri) == name
