from __future__ import annotations

import http.server
import os
import threading
import uuid
from functools import partial
from typing import TYPE_CHECKING

import pytest
from faultproxy import FaultProxy, Rule

from nst.errors import InputError, StorageError
from nst.redaction import redacted
from tasks.inputs.uris import glob_uri, read_uri, stat_uri
from tasks.store import Patience, Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TREE = (
    "p/b.jpg", "p/a.PNG", "p/notes.txt", "p/.hidden.png", "p/deep/er/c.webp", "p/deep/d.tiff", "p/.git/e.png",
    "p/[x].png", "p2/f.png", "g.png",
)  # fmt: skip
QUICK = Patience(deadline=5.0, stall=1.0, first_wait=0.01, longest_wait=0.05)


@pytest.fixture
def tree(store: Store) -> Store:
    for key in TREE:
        store.put(key, key.encode())
    return store


def found(store: Store, pattern: str) -> list[str]:
    return [stat.key.removeprefix(f"{store.uri}/") for stat in glob_uri(f"{store.uri}/{pattern}")]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("p", ["p/[x].png", "p/a.PNG", "p/b.jpg", "p/deep/d.tiff", "p/deep/er/c.webp"]),
        ("p/", ["p/[x].png", "p/a.PNG", "p/b.jpg", "p/deep/d.tiff", "p/deep/er/c.webp"]),
        ("p/b.jpg", ["p/b.jpg"]),
        ("p/notes.txt", ["p/notes.txt"]),
        ("p/[x].png", ["p/[x].png"]),
        ("p/*.png", ["p/[x].png"]),
        ("p/*", ["p/[x].png", "p/a.PNG", "p/b.jpg"]),
        ("p/*.txt", ["p/notes.txt"]),
        ("p/?.*", ["p/a.PNG", "p/b.jpg"]),
        ("p/[ab].*", ["p/a.PNG", "p/b.jpg"]),
        ("p/[!ab[]*", []),
        ("p*/*.png", ["p/[x].png", "p2/f.png"]),
        ("**/*.png", ["g.png", "p/[x].png", "p2/f.png"]),
        ("p/**", ["p/[x].png", "p/a.PNG", "p/b.jpg", "p/deep/d.tiff", "p/deep/er/c.webp"]),
        ("p/**/c.webp", ["p/deep/er/c.webp"]),
        ("p/**/er/*.webp", ["p/deep/er/c.webp"]),
        ("p/deep/*/*", ["p/deep/er/c.webp"]),
        ("p/.*.png", ["p/.hidden.png"]),
        ("p/[z-a]*.png", []),
    ],
)
def test_globs_and_prefixes_mean_the_same_everywhere(tree: Store, pattern: str, expected: list[str]):
    if not expected:
        with pytest.raises(InputError, match=r"matches no file|not a valid pattern"):
            found(tree, pattern)
    else:
        assert found(tree, pattern) == expected


def test_what_a_glob_finds_can_be_read(tree: Store):
    stats = glob_uri(f"{tree.uri}/**/*.png")
    assert [read_uri(stat.key) for stat in stats] == [b"g.png", b"p/[x].png", b"p2/f.png"]
    assert [stat_uri(stat.key) for stat in stats] == stats


def test_plain_paths_stay_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    open_store(tmp_path).put("in/a.png", b"1")
    assert [stat.key for stat in glob_uri(f"{tmp_path}/in")] == [f"{tmp_path}/in/a.png"]
    monkeypatch.chdir(tmp_path)
    assert [stat.key for stat in glob_uri("in/*.png")] == ["in/a.png"]
    assert [stat.key for stat in glob_uri("in")] == ["in/a.png"]
    assert read_uri("in/a.png") == b"1"
    monkeypatch.chdir(tmp_path / "in")
    assert [stat.key for stat in glob_uri("*.png")] == ["a.png"]
    assert read_uri("a.png") == b"1"


def test_absent_inputs_are_the_users_to_mend(store: Store):
    for use in (read_uri, stat_uri):
        with pytest.raises(InputError, match="does not exist"):
            use(f"{store.uri}/gone.png")
    with pytest.raises(InputError, match="names no file and no folder"):
        glob_uri(f"{store.uri}/gone")


def test_too_many_bytes_are_not_read(store: Store):
    store.put("big", b"." * 1001)
    assert len(read_uri(store.url("big"), max_bytes=1001)) == 1001
    with pytest.raises(InputError, match=r"1,001 bytes, at most 1,000"):
        read_uri(store.url("big"), max_bytes=1000)


@pytest.mark.parametrize("use", [read_uri, stat_uri, glob_uri])
@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("htps://host/a.png", "did you mean https://"),
        ("ftp://host/a.png", "unknown protocol ftp://"),
        ("github://org:repo@/a.png", "unknown protocol github://"),
        ("simplecache::s3://bucket/a.png", "unknown protocol simplecache"),
        ("data:image/png;base64,x", "exist|names no file"),
        ("s3://bucket", "names no"),
        ("s3://bucket/a//b.png", "not a valid name|names no"),
    ],
)
def test_only_known_protocols_are_spoken(use, uri: str, said: str, request: pytest.FixtureRequest):
    if use is glob_uri and uri.startswith("s3://"):
        server = request.getfixturevalue("s3")
        uri = uri.replace("s3://bucket", server.bucket())
    with pytest.raises(InputError, match=said):
        use(uri)


def test_messages_hide_what_signs_a_link():
    assert redacted("https://me:secret@host/a.png?X-Amz-Signature=abc#x") == "https://host/a.png"
    assert redacted("s3://bucket/a?b.png") == "s3://bucket/a?b.png"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FaultProxy]:
    """A web server with one picture, behind the fault proxy."""
    (tmp_path / "a.png").write_bytes(b"picture" * 1000)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        proxy = FaultProxy(f"http://127.0.0.1:{server.server_address[1]}")
        yield proxy
        proxy.close()
        server.shutdown()


def test_a_link_is_read_and_has_size_and_etag(site: FaultProxy):
    uri = f"{site.url}/a.png"
    assert read_uri(uri, max_bytes=7000) == b"picture" * 1000
    assert stat_uri(uri).size == 7000
    assert stat_uri(uri).etag
    assert glob_uri(uri) == [stat_uri(uri)]
    with pytest.raises(InputError, match="more than the 6,999 bytes"):
        read_uri(uri, max_bytes=6999)
    with pytest.raises(InputError, match="HTTP 404"):
        read_uri(f"{site.url}/{uuid.uuid4()}.png?token=secret")


@pytest.mark.parametrize("action", ["drop_response", "reset_request", "status:503", "truncate"])
def test_a_link_survives_passing_faults(site: FaultProxy, action: str):
    site.rules = [Rule(action, method="GET", hits={1, 2})]
    assert read_uri(f"{site.url}/a.png", patience=QUICK) == b"picture" * 1000
    assert site.hurt() == 2


def test_a_dead_site_is_a_storage_error_without_secrets(site: FaultProxy):
    site.rules = [Rule("status:500")]
    with pytest.raises(StorageError, match="gave up") as caught:
        read_uri(f"{site.url}/a.png?token=secret", patience=Patience(0.1, first_wait=0.01))
    assert "secret" not in str(caught.value)


def test_a_pipe_or_device_is_no_input(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    for uri in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(InputError, match="is a pipe or device, not a file"):
            read_uri(str(uri))
    with pytest.raises(InputError, match=r"is a folder without images|names no file"):
        glob_uri(str(tmp_path))
