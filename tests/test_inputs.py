"""Inputs: what a manifest may name, and digests that are read once."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime

import pytest

from nst.config.backbone import BackboneConfig
from nst.errors import InputError, UserError
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.digests import Digests
from tasks.inputs.images import find_images
from tasks.inputs.uris import glob_uri, stat_uri
from tasks.inputs.weights import find_weights
from tasks.models.choose import TrainedModel, find_model
from tasks.models.importing import import_model
from tasks.root import open_root
from tasks.store import open_store


def test_relative_inputs_lie_beside_the_manifest(tmp_path):
    base = BaseUri.of(f"{tmp_path}/sweeps/a.yaml", "")
    assert base.join("photos/x.jpg") == f"file://{tmp_path}/sweeps/photos/x.jpg"
    assert base.join("../x.jpg") == f"file://{tmp_path}/x.jpg"
    assert base.join("/abs/x.jpg") == "file:///abs/x.jpg"
    assert base.join("s3://b/x.jpg") == "s3://b/x.jpg"


def test_the_inputs_option_replaces_the_manifests_folder(tmp_path):
    assert BaseUri.of("m.yaml", str(tmp_path)).join("x.jpg") == f"file://{tmp_path}/x.jpg"
    assert BaseUri.of("m.yaml", "s3://bucket/in").join("x.jpg") == "s3://bucket/in/x.jpg"


def test_a_manifest_in_a_bucket_names_objects_beside_it_and_no_local_files():
    base = BaseUri.of("s3://bucket/sweeps/a.yaml", "")
    assert base.join("photos/*.jpg") == "s3://bucket/sweeps/photos/*.jpg"
    assert base.join("../photos/x.jpg") == "s3://bucket/photos/x.jpg"
    for uri in ("/etc/passwd", "file:///etc/passwd", "~/x.jpg"):
        with pytest.raises(InputError, match="local file"):
            base.join(uri)


def test_a_manifest_in_a_bucket_reads_local_files_only_below_the_folder_it_was_given(tmp_path):
    base = BaseUri.of("s3://bucket/a.yaml", str(tmp_path / "in"))
    assert base.join("x.jpg") == f"file://{tmp_path}/in/x.jpg"
    for uri in ("../x.jpg", "/etc/passwd", f"{tmp_path}/inside-not/x.jpg"):
        with pytest.raises(InputError, match="local file"):
            base.join(uri)


def test_a_folder_is_the_images_below_it(tmp_path):
    for name in ("b.png", "a.jpg", "notes.txt", "deep/c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = find_images(str(tmp_path), BaseUri.of("m.yaml", ""))
    assert [stat.key.removeprefix(f"file://{tmp_path}/") for stat in found] == ["a.jpg", "b.png", "deep/c.webp"]


def test_digests_are_those_of_the_bytes_and_are_read_once(tmp_path):
    photo = tmp_path / "x.jpg"
    photo.write_bytes(b"first")
    store = open_store(tmp_path / "root")
    digests = Digests(store)
    assert digests.of([stat_uri(f"file://{photo}")]) == [hashlib.sha256(b"first").hexdigest()]
    digests.save()

    stat = stat_uri(f"file://{photo}")
    photo.unlink()  # a known digest needs no file
    assert Digests(store).of([stat]) == [hashlib.sha256(b"first").hexdigest()]
    photo.write_bytes(b"second")
    assert Digests(store).of([stat_uri(f"file://{photo}")]) == [hashlib.sha256(b"second").hexdigest()]


def test_a_broken_memory_of_digests_costs_only_reading_again(tmp_path):
    photo = tmp_path / "x.jpg"
    photo.write_bytes(b"first")
    store = open_store(tmp_path / "root")
    entries = [{f"file://{photo}": value} for value in (5, [], ["x"], [1, 2], None, ["nonsense", "0"])]
    damaged = [b"{", b"[]", b"\xff", b"[" * 100_000, *(json.dumps(entry).encode() for entry in entries)]
    for broken in damaged:
        store.put("state/digests.json", broken)
        assert Digests(store).of([stat_uri(f"file://{photo}")]) == [hashlib.sha256(b"first").hexdigest()]


def test_weights_are_identified_by_what_they_are(tmp_path):
    base = BaseUri.of(f"{tmp_path}/m.yaml", "")
    digests = Digests(open_store(tmp_path / "root"))

    def identity(**settings):
        return find_weights(BackboneConfig(**settings), base, digests).digest

    assert identity(name="vgg19") == "torchvision-vgg19-dcbb9e9d"
    assert identity(name="vgg16") == "torchvision-vgg16-397923af"
    assert identity(weights="random", seed=3) != identity(weights="random", seed=4)
    (tmp_path / "own.safetensors").write_bytes(b"weights")
    assert identity(weights="own.safetensors") == f"sha256-{hashlib.sha256(b'weights').hexdigest()}"
    with pytest.raises(InputError, match="does not exist"):
        identity(weights="none.safetensors")


def test_bytes_that_are_overwritten_in_place_are_noticed_although_size_and_time_are_the_same(tmp_path):
    photo = tmp_path / "x.jpg"
    photo.write_bytes(b"first")
    digests = Digests(open_store(tmp_path / "root"))
    digests.of([stat_uri(str(photo))])
    before = photo.stat()
    while photo.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of the file system goes in steps
        with photo.open("r+b") as file:
            file.write(b"other")
    os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (photo.stat().st_mtime_ns, photo.stat().st_size) == (before.st_mtime_ns, before.st_size)
    assert digests.of([stat_uri(str(photo))]) == [hashlib.sha256(b"other").hexdigest()]


def model(model_id, name):
    return TrainedModel(model_id, "adain", name, (), (), (), "", "", datetime.now(UTC))


def test_a_model_is_chosen_by_its_name_or_by_the_beginning_of_its_id():
    models = [
        model("abcd" * 8, "matta"),
        model("1234" * 8, "twice"),
        model("5678" * 8, "twice"),
        model("9" * 32, "1234"),
    ]
    assert find_model(models, "matta") == find_model(models, "abcda") == models[0]
    for wanted in ("twice", "1234"):
        with pytest.raises(InputError, match="2 models are named"):
            find_model(models, wanted)
    assert find_model(models, "1234" * 8) == models[1]
    with pytest.raises(InputError, match="no model 'abc'"):
        find_model(models, "abc")


@pytest.mark.parametrize("name", ["latest", "my.safetensors", "my.yaml"])
def test_a_model_gets_no_name_by_which_it_could_not_be_chosen(tmp_path, name):
    with pytest.raises(UserError, match="no model can be named"):
        import_model(open_root(str(tmp_path)).catalog, ["decoder.safetensors"], name)


def test_a_name_that_is_not_utf8_is_refused_when_the_folder_is_read(tmp_path):
    (tmp_path / "fold").mkdir()
    (tmp_path / "fold/ok.png").touch()
    os.close(os.open(os.fsencode(tmp_path) + b"/fold/bad\xff.png", os.O_CREAT))
    with pytest.raises(InputError, match=r"the name of .* is not UTF-8"):
        glob_uri(f"{tmp_path}/fold/")
    assert [stat.key for stat in glob_uri(f"{tmp_path}/fold/o*.png")] == [f"{tmp_path}/fold/ok.png"]
    (tmp_path / "fold/\u00fc\u65e5.png").touch()
    assert len(glob_uri(f"{tmp_path}/fold/[!b]*.png")) == 2
