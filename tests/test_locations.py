"""A text becomes a location in one place: whatever its spelling, what is checked is what is opened."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nst.config.locations import INPUT_SCHEMES, Location, LocationError, parse_location
from nst.errors import InputError, ManifestError, Problem
from nst.redaction import redacted

SIGNED = "https://host/a.png?X-Amz-Credential=AKIA&X-Amz-Signature=c0ffee#top"
PASSWD = ["/etc/passwd", "//etc/passwd", "file:///etc/passwd", "FILE:///etc/passwd", "File:/etc/passwd",
          "file:////etc/passwd", "fIlE://LOCALHOST/etc/passwd"]  # fmt: skip


@pytest.mark.parametrize("text", PASSWD)
def test_each_spelling_of_a_file_is_the_same_file(text):
    assert parse_location(text) == Location("file", "/etc/passwd")


@pytest.mark.parametrize(
    "name",
    ["a%2e%2e/b.png", "q?mark.png", "a\\b.png", "c#.png", "data:x.png", " file:/x", "é.png", "./s3//x", "a//b.png"],
)
def test_a_local_path_is_taken_literally(name):
    assert parse_location(name) == Location("file", name)
    assert parse_location(f"file:///{name}").path == f"/{name}"


def test_an_ending_is_that_of_the_name_without_the_query_of_a_link():
    assert parse_location("https://host/A.PNG?clip=b.mp4#c.gif").ending == ".png"
    assert parse_location("s3://bucket/a?b.MP4").ending == ".mp4"
    assert parse_location("a.b?c=d.webm").ending == ".webm"
    assert parse_location("https://host/a.d/b").ending == ""


def test_a_protocol_is_known_in_any_case():
    assert parse_location("S3://Bucket/Key") == Location("s3", "Bucket/Key")
    assert str(parse_location("HTTPS://host/A.png")) == "https://host/A.png"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a path or a URI"),
        ("a\0b", "expected a path or a URI"),
        ("s3:/bucket/a.png", "write s3://"),
        ("HTTP:/host/a.png", "write http://"),
        ("s3//bucket/a.png", "s3// without its colon; write s3://"),
        ("GS//bucket", "write gs://, or ./GS// for a local path"),
        ("s4:/bucket/a.png", "did you mean s3://"),
        ("file://photos/a.png", "the host 'photos'"),
        ("file://", "file:///path"),
        ("htps://host/a.png", "did you mean https://"),
        ("simplecache::s3://bucket/a.png", "unknown protocol simplecache::s3://"),
        ("https://host/a\r\nHost: other", "control character"),
    ],
)
def test_what_is_no_location_is_refused_with_what_to_write(text, said):
    with pytest.raises(LocationError, match=said):
        parse_location(text)


@pytest.mark.parametrize(
    "text",
    [
        "s3://KEY:SECRET@b/x", "S3://KEY:SEC/RET@b/x", "s3://SECRET@b/x", "https://me:SECRET@host/x", "gs://a:SECRET@b",
        "https://SECRET@host/x", "abfs://me:SECRET@account/x", "memory://me:SECRET@x/y", "http://me:12SECRET@[::1]:80/",
    ],
)  # fmt: skip
def test_a_user_name_in_a_uri_is_refused_and_no_part_of_it_is_repeated(text):
    with pytest.raises(LocationError, match="user name or a password") as caught:
        parse_location(text)
    assert "SEC" not in str(caught.value)
    assert "SEC" not in redacted(f"cannot read {text!r}: refused")


@pytest.mark.parametrize("text", ["abfs://container@account.dfs.core.windows.net/x", "http://[::1]:8080/a.png",
                                  "http://127.0.0.1:5000/a.png", "s3://bucket/me@home.png"])  # fmt: skip
def test_what_only_looks_like_a_user_name_is_kept(text):
    assert str(parse_location(text)) == text
    assert redacted(f"{text}: refused") == f"{text}: refused"


@given(st.text(st.sampled_from("fFiIlLeE:/\\%2.sS3hHtTpP~ @?#ab\t"), max_size=24))
@example("file:/../x")
@example("s3:///x")
def test_a_remote_folder_never_leads_to_a_local_file_and_a_location_is_read_as_it_was_written(text):
    for folder in (Location("s3", "bucket/sweeps"), Location("https", "host/sweeps")):
        try:
            found = folder.join(text)
        except LocationError:
            continue
        assert found.scheme in set(INPUT_SCHEMES) - {"file"}
        assert parse_location(str(found)) == found


def test_relative_names_stay_in_their_bucket():
    folder = parse_location("s3://bucket/sweeps/a.yaml").folder
    assert str(folder.join("photos/")) == "s3://bucket/sweeps/photos/"
    assert str(folder.join("../../../other/x.jpg")) == "s3://bucket/other/x.jpg"
    assert str(parse_location("https://host/m.yaml?sig=a/b").folder.join("x.jpg")) == "https://host/x.jpg"


def test_no_error_shows_what_signs_a_link():
    error = InputError(f"cannot read {SIGNED!r}", hint=f"see ({SIGNED}).")
    assert str(error) == "cannot read 'https://host/a.png' (see (https://host/a.png).)"
    problem = Problem("m.yaml", 1, 1, f"{SIGNED} is bad", excerpt=f"1 | contents: {SIGNED}")
    assert "c0ffee" not in str(ManifestError((problem,)))
    assert "AKIA" not in repr(error)


def test_a_manifest_without_its_signatures_is_still_a_manifest():
    text = f"contents: [{{uri: {SIGNED}, name: a}}, '{SIGNED}']\nstyles: s3://bucket/a?b.png\n"
    kept = "contents: [{uri: https://host/a.png, name: a}, 'https://host/a.png']\nstyles: s3://bucket/a?b.png\n"
    assert redacted(text) == kept
