"""Inputs: what a manifest may name, and digests that are read once."""

from __future__ import annotations

import hashlib
import json

import pytest

from nst.config.backbone import BackboneConfig
from nst.errors import InputError
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.digests import Digests
from tasks.inputs.images import find_images
from tasks.inputs.uris import stat_uri
from tasks.inputs.weights import find_weights
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
    for broken in (b"{", b"[]", json.dumps({f"file://{photo}": ["nonsense", "0"]}).encode()):
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
