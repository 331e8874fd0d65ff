"""What the page's data say of clips: which frames, when each is shown, where the content can be played."""

from __future__ import annotations

import json

import pytest

from nst.config import METHOD_CONFIGS
from tasks.catalog import parameters
from tasks.pages.gallery.columns import tabulate

PAGE = "s3://lab/nst/gallery/one/index.html"


def row(cell_id="a", content_uri="s3://lab/in/town.mp4", **changes):
    """A row of a clip of frames 10, 12, 14 and 16 of a content with 24 frames per second."""
    clip = {"clip_frames": 4.0, "clip_first": 10.0, "clip_last": 16.0, "clip_every": 2.0, "clip_seconds": 8 / 24}
    picture = {"picture_uri": f"s3://lab/nst/pictures/{cell_id}.mp4", "picture_width": 64, "picture_height": 48}
    names = {"content_name": "town", "style_name": "night", "style_uris": '["s3://lab/in/night.png"]'}
    about = {"cell_id": cell_id, "content_uri": content_uri, "content_digest": "d", **names, **picture, **clip}
    return about | parameters.flatten(METHOD_CONFIGS["gatys"]()) | changes


def data(*rows, moments=None):
    return json.loads(json.dumps(tabulate(rows, PAGE, moments), allow_nan=False))


STILL = {key: float("nan") for key in row() if key.startswith("clip_")}


def test_cells_with_the_same_frames_share_them():
    times = [number / 24 for number in (10, 12, 14, 16)]
    found = data(row("a"), row("b", **STILL), row("c"), moments={"a": times, "c": times})["clips"]
    assert found["index"] == [0, -1, 0]
    (clip,) = found["values"]
    assert (clip["source"], clip["first"], clip["every"]) == ("d", 10, 2)
    assert clip["times"] == pytest.approx(times, abs=1e-6)
    assert clip["end"] == pytest.approx(18 / 24, abs=1e-6)


def test_frames_whose_times_are_lost_follow_each_other_evenly():
    (clip,) = data(row(), moments={"a": [0.5, 0.6]})["clips"]["values"]
    assert clip["times"] == pytest.approx([0, 2 / 24, 4 / 24, 6 / 24], abs=1e-6)
    assert clip["end"] == pytest.approx(8 / 24, abs=1e-6)


def test_the_selection_is_as_a_manifest_writes_it():
    (source,) = data(row())["sources"]["values"]
    assert source["clip"] == {"frames": "10-16", "every": 2}
    assert source["link"] == "../../../in/town.mp4"
    (source,) = data(row(clip_every=1, clip_last=13))["sources"]["values"]
    assert source["clip"] == {"frames": "10-13", "every": None}


@pytest.mark.parametrize("uri", ["s3://lab/in/town/", "s3://lab/in/town/*.png"])
def test_a_sequence_of_stills_has_its_rate_and_no_file_to_play(uri):
    (source,) = data(row(content_uri=uri))["sources"]["values"]
    assert source["clip"] == {"frames": "10-16", "every": 2, "rate": 24}
    assert source["link"] is None


@pytest.mark.parametrize("uri", ["s3://other/town.mp4", "https://host/town.mp4", "http://host/town.mp4"])
def test_a_page_asks_no_other_address_for_a_clip(uri):
    assert data(row(content_uri=uri))["sources"]["values"][0]["link"] is None


def test_stills_say_nothing_of_clips():
    found = data(row(**STILL))
    assert found["clips"] == {"values": [], "index": [-1]}
    assert not {"clip", "link"} & set(found["sources"]["values"][0])
    assert not [metric for metric in found["metrics"] if metric["key"].startswith(("clip", "warping"))]


def test_what_is_measured_of_clips_are_metrics_of_the_page():
    found = data(row(warping_error=0.25, tof=0.5, drift=0.125, source_warping_error=0.0625))
    metrics = {metric["key"]: metric["values"] for metric in found["metrics"]}
    assert metrics["warping_error"] == [0.25]
    assert metrics["tof"] == [0.5]
    assert metrics["drift"] == [0.125]
    assert metrics["source_warping_error"] == [0.0625]
    assert "warping_error_long" not in metrics
