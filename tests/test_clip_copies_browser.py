"""GIF, WebP, FFV1 and folders of stills on the page, in a real browser: by their copies they play in step as others do.

Frames are known by their brightness (`clip_files`), which is read from the screen.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import CHROMIUM, opened
from PIL import Image
from sweeps import write

pytest.importorskip("cv2", reason="needs the extra `video`")
pytest.importorskip("av", reason="needs the extra `video`")
from cells import blocks
from clip_files import picture
from test_clip_page_browser import PLAYED, made, pause_at_first, show, shown_numbers

from tasks.layout import copy_key
from tasks.removal import plan_removal, remove

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

FRAMES = [3, 5, 7, 9]
MANIFEST = """
name: moving
contents: {video: %s, frames: 3-10, every: 2}
styles: waves.png
method: {name: baseline, kind: content, size: 64}
output: {video: %s}
"""
KINDS = {"gif": ("moving.gif", "gif"), "webp": ("moving.webp", "webp"), "stills": ("stills/", "ffv1")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("clips")
        frames = [Image.fromarray(picture(number)) for number in range(12)]
        frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=100)
        frames[0].save(folder / "moving.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True)
        (folder / "stills").mkdir()
        for number, frame in enumerate(frames):
            frame.save(folder / f"stills/{number:02}.png")
        write(folder / "waves.png", blocks(3, 36, 36))
        yield folder


@pytest.fixture(scope="module")
def sweeps(folder):
    return {kind: made(folder, MANIFEST % names) for kind, names in KINDS.items()}


@pytest.fixture(scope="module")
def browser(sweeps, tmp_path_factory):
    pytest.importorskip("websockets.sync.client")
    with opened(Path(sweeps["gif"][0]), tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def tab(browser):
    browser.faults.clear()
    browser.requests.clear()
    yield browser
    assert [url for url in browser.requests if not url.startswith(("file:", "data:", "about:"))] == []


def turn_to(tab, page):
    tab.page = Path(page)
    tab.open(anew=True)


@pytest.mark.parametrize("mode", ["side", "slider"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_and_its_content_go_from_frame_to_frame_together(tab, sweeps, kind, mode):
    turn_to(tab, sweeps[kind][0])
    show(tab, f"mode={mode}&against=content")
    pause_at_first(tab)
    assert tab.js("document.querySelectorAll('#stage img').length") == 0
    assert tab.js("document.querySelector('#stage > .note')") is None
    for key, place in [(".", 1), (".", 2), (".", 3), (".", 0), (",", 3)]:
        tab.key(key)
        tab.until(f"{PLAYED} && player.frame === {place}")
        tab.until("player.videos.every(({ node, shown }) => Math.abs(shown - player.clip.times[player.frame]) < 0.002)")
        assert shown_numbers(tab) == [FRAMES[place]] * 2
    assert tab.faults == []


def test_without_its_copies_a_gif_plays_by_itself_and_the_page_says_so(tab, sweeps, folder):
    page, prepared = sweeps["gif"]
    (digest,) = prepared.root.catalog.read(
        "results", ["cell_id", "picture_digest"], where=("cell_id", set(prepared.plan.cells.ids))
    )["picture_digest"].to_pylist()
    kept = {key: prepared.root.store.get(key) for key in (copy_key(digest), copy_key(digest, content=True))}
    for key in kept:
        prepared.root.store.delete(key)
    try:
        turn_to(tab, page)
        tab.open(f"cell={tab.js('DATA.keys[0]')}&mode=side&against=content")
        tab.until("document.querySelector('#stage > .note')?.textContent.includes('plays by itself')")
        tab.until("document.querySelectorAll('#stage img[src$=\".gif\"]').length === 2")
        assert tab.js("document.querySelectorAll('#stage video').length") == 0
    finally:
        for key, data in kept.items():
            prepared.root.store.put(key, data)


def test_a_removal_takes_the_copies(folder, sweeps):
    _, prepared = made(folder, (MANIFEST % KINDS["gif"]).replace("moving\n", "other\n").replace("3-10", "0-3"))
    before = {path.name for path in (folder / "out/thumbs").glob("*/*.mp4")}
    remove(prepared.root, plan_removal(prepared.root, prepared.plan.sweep_id, "other"))
    after = {path.name for path in (folder / "out/thumbs").glob("*/*.mp4")}
    assert len(before - after) == 2
    assert len(after) == 2 * len(sweeps)  # of the other clips
