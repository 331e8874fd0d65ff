"""A sweep over a clip after its run: page, contact sheet, export, checks, judging and removal."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sweeps import plan, rows, run, write

pytest.importorskip("cv2", reason="needs the extra `video`")
pytest.importorskip("av", reason="needs the extra `video`")
from cells import blocks
from clip_files import clip, number_of

from nst.pictures.images import decode
from tasks.fsck.check import fsck
from tasks.fsck.repair import plan_repair, repair
from tasks.pages import report as pages
from tasks.pages.export import export_sweep
from tasks.pages.pictures import picture_of
from tasks.pages.show import manifest_of
from tasks.planning.registration import register_sweep
from tasks.removal import plan_removal, remove
from tasks.work import clip_frames, judge_sweep

FRAMES = [18, 20, 22]
MANIFEST = """
name: moving
contents: {video: moving.mp4, frames: 18-23, every: 2}
styles: waves.png
method: {name: baseline, size: 64}
sweep: {kind: [content, noise]}
"""


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "moving.mp4").write_bytes(clip(times=range(30)))
    write(tmp_path / "waves.png", blocks(3, 36, 36))
    return submitted(tmp_path, MANIFEST)


def submitted(folder, manifest):
    prepared = plan(folder, manifest)
    register_sweep(prepared)
    prepared.root.catalog.publish("sweeps")
    run(prepared)
    prepared.root.catalog.publish("frames")
    return prepared


def page_data(page):
    html = Path(page.uri.removeprefix("file://")).read_text()
    return json.loads(html.partition('id="data">')[2].partition("</script>")[0])


def test_the_page_knows_the_frames_and_shows_the_first_one_as_the_heading(sweep, monkeypatch):
    kept = {}
    monkeypatch.setattr(
        pages, "build_gallery", lambda *a, _real=pages.build_gallery, **k: kept.update(k) or _real(*a, **k)
    )
    data = page_data(pages.report(sweep))
    (moving,) = data["clips"]["values"]
    assert data["clips"]["index"] == [0, 0]
    assert moving["times"] == pytest.approx([number / 24 for number in FRAMES], abs=1e-5)
    assert moving["end"] == pytest.approx(1, abs=1e-5)
    assert number_of(decode(kept["contents"]["moving"])) == FRAMES[0]
    assert all(picture.endswith(".mp4") for picture in data["pictures"])


def test_without_the_extra_the_heading_is_a_name_alone(sweep, monkeypatch):
    def missing():
        from nst.errors import InputError

        raise InputError("clips need the extra 'video'")

    monkeypatch.setattr("tasks.clips.containers.library", missing)
    monkeypatch.setattr("tasks.clips.reading.library", missing)
    data = page_data(pages.report(sweep))
    assert data["heads"]["content"] == {}
    assert data["only"]["content"] == "moving"


def test_the_page_that_is_written_again_has_the_same_frames_and_heading(sweep):
    first = page_data(pages.report(sweep))
    plan_ = sweep.plan
    again = page_data(pages.write_again(sweep.root, plan_.name, plan_.sweep_id, plan_.total))
    assert again["clips"] == first["clips"]
    assert again["heads"]["content"] == first["heads"]["content"] != {}


def test_a_clip_that_failed_still_has_a_manifest(sweep):
    ids = sweep.plan.cells.ids
    sweep.root.catalog.drop("results", "cell_id", {ids[1]})
    failed = {"cell_id": ids[1], "attempt": 1, "error_class": "InputError", "error_message": "x"}
    (done,) = rows(sweep, "results")
    about = {key: done[key] for key in ("content_name", "content_uri", "method", "style_uris")}
    sweep.root.catalog.commit("failures", sweep.plan.sweep_id, "f", [failed | about])
    data = page_data(pages.report(sweep))
    assert data["clips"]["index"] == [0, -1]
    assert [data["sources"]["values"][at]["clip"]["frames"] for at in data["sources"]["index"]] == ["18-22"] * 2


def test_the_contact_sheet_marks_clips(sweep, monkeypatch):
    cells = []
    monkeypatch.setattr(pages, "contact_sheet", lambda shown, *_, **__: cells.extend(shown) or b"")
    pages.report(sweep)
    assert [cell.mark for cell in cells] == ["3 frames, 0.25 s"] * 2
    assert number_of(decode(cells[0].picture)) == FRAMES[0]


def test_an_export_has_the_clip_and_its_frames(sweep, tmp_path):
    export_sweep(sweep.root.catalog, sweep.plan.sweep_id, tmp_path / "plain")
    names = {row["kind"]: f"moving__waves__kind={row['kind']}" for row in rows(sweep, "results")}
    assert sorted(file.name for file in (tmp_path / "plain").iterdir()) == sorted(
        ["catalog.csv", *(f"{name}.mp4" for name in names.values())]
    )
    for row in rows(sweep, "results"):
        data = (tmp_path / "plain" / f"{names[row['kind']]}.mp4").read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["picture_digest"]
        shown = manifest_of(sweep.root, str(tmp_path / "plain" / f"{names[row['kind']]}.mp4"))
        assert shown == manifest_of(sweep.root, row["cell_id"])
    for _ in range(2):  # a second export writes over the first
        export_sweep(sweep.root.catalog, sweep.plan.sweep_id, tmp_path / "whole", frames=True)
    files = sorted((tmp_path / "whole" / names["content"]).iterdir())
    assert [file.name for file in files] == [f"{number:06d}.png" for number in FRAMES]
    assert [number_of(np.asarray(Image.open(file))) for file in files] == FRAMES
    assert len(list((tmp_path / "whole" / names["noise"]).iterdir())) == 3
    for _ in range(2):
        export_sweep(sweep.root.catalog, sweep.plan.sweep_id, tmp_path / "page", frames=True, page=True)
    files = sorted((tmp_path / "page/pictures" / names["content"]).iterdir())
    assert [number_of(np.asarray(Image.open(file))) for file in files] == FRAMES
    assert (tmp_path / "page/pictures" / f"{names['content']}.mp4").is_file()
    assert (tmp_path / "page/thumbs" / f"{names['content']}.mp4.webp").is_file()


def test_the_picture_of_a_clip_is_its_preview_which_moves(sweep):
    for row in rows(sweep, "results"):
        preview = picture_of(row)
        assert (preview.format, preview.n_frames) == ("WEBP", 3)


def test_nothing_is_wrong_with_a_root_of_clips(sweep):
    found = fsck(sweep.root)
    assert found.problems == []
    assert found.counts["orphan pictures"] == 0
    assert found.counts["pictures"] == 2


def test_a_clip_that_is_lost_is_made_again_from_its_frames(sweep, tmp_path, monkeypatch):
    before = [(row["cell_id"], row["picture_digest"]) for row in rows(sweep, "results")]
    (lost,) = (tmp_path / "out").glob(f"pictures/*/{before[0][1]}.mp4")
    lost.unlink()
    assert [problem.where for problem in fsck(sweep.root).problems] == [f"pictures/{before[0][1][:2]}/{before[0][1]}"]
    planned = plan_repair(sweep.root)
    assert [row.id for row in planned.cells] == [before[0][0]]
    assert repair(sweep.root, planned) == 1
    monkeypatch.setattr(clip_frames, "stylize_in_memory", lambda *_: pytest.fail("a frame is stylized again"))
    again = submitted(tmp_path, MANIFEST)
    assert [(row["cell_id"], row["picture_digest"]) for row in rows(again, "results")] == before
    assert lost.exists()


def test_a_removal_takes_the_frames_that_no_other_sweep_has(sweep, tmp_path):
    other = submitted(tmp_path, MANIFEST.replace("moving\n", "other\n").replace("18-23", "18-21"))
    frames = set(sweep.root.catalog.read("frames", ["cell_id", "picture_digest"])["picture_digest"].to_pylist())
    remove(sweep.root, plan_removal(sweep.root, sweep.plan.sweep_id, "moving"))
    left = other.root.catalog.read("frames", ["cell_id", "picture_digest"])
    assert set(left["cell_id"].to_pylist()) == set(other.plan.cells.ids)
    pictures = {path.stem for path in (tmp_path / "out/pictures").glob("*/*.png")}
    assert pictures == set(left["picture_digest"].to_pylist()) < frames
    assert {path.suffix for path in (tmp_path / "out/pictures").glob("*/*")} == {".png", ".mp4"}
    assert fsck(other.root).problems == []


def test_judges_leave_clips_out_and_say_how_many(sweep, monkeypatch):
    monkeypatch.setattr(judge_sweep, "build_judge", lambda *_: (None, None))
    judged = judge_sweep.judge_sweep(sweep.root, sweep.plan.sweep_id, None, "cpu", lambda *_: None)
    assert (judged.judged, judged.known, judged.clips, judged.failed) == (0, 0, 2, [])
