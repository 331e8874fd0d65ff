"""The page of a sweep over a clip in a real browser: what plays, in step with what, and how frames are stepped through.

The clips of the method `baseline` are the content's own frames, whose brightness is their number (`clip_files`): what
the browser shows is read from the screen.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, opened
from orders import planned
from PIL import Image
from sweeps import plan, run, write

pytest.importorskip("cv2", reason="needs the extra `video`")
pytest.importorskip("av", reason="needs the extra `video`")
from cells import blocks
from clip_files import clip, number_of

from tasks.layout import copy_key
from tasks.pages.report import report
from tasks.planning.registration import register_sweep

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

FRAMES = [18, 20, 22, 24, 26, 28]
TIMES = [number / 24 for number in FRAMES]
FRAME = 1 / 24
MANIFEST = """
name: moving
contents: {video: "a # clip %41.mp4", frames: 18-29, every: 2}
styles: waves.png
methods:
  - {name: baseline, kind: content, size: 64}
  - {name: gatys, size: 64, steps: 1, content_layers: relu1_1, style_layers: relu1_1, backbone: {weights: random}}
"""
PLAYED = "player && player.videos.every((video) => video.wanted === null && video.node.readyState >= 2)"


def made(folder, text):
    """The page of a sweep that is run."""
    prepared = plan(folder, text)
    register_sweep(prepared)
    prepared.root.catalog.publish("sweeps")
    run(prepared)
    return report(prepared).uri.removeprefix("file://"), prepared


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("clips")
        (folder / "a # clip %41.mp4").write_bytes(clip(times=range(30)))
        write(folder / "waves.png", blocks(3, 36, 36))
        yield folder


@pytest.fixture(scope="module")
def sweep(folder):
    return made(folder, MANIFEST)


@pytest.fixture(scope="module")
def tab(sweep, tmp_path_factory):
    pytest.importorskip("websockets.sync.client")
    with opened(Path(sweep[0]), tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(autouse=True)
def _no_faults(tab):
    tab.faults.clear()
    yield
    assert tab.faults == []
    assert [url for url in tab.requests if not url.startswith(("file:", "data:", "about:"))] == []


def watch(tab):
    """Let the page note which moment of its file each clip shows, as the browser tells it."""
    tab.js("""document.querySelectorAll('#stage video').forEach((video) => {
        video.seen = [];
        const note = (_, frame) => { video.now = frame.mediaTime; video.seen.push(frame.mediaTime);
          video.requestVideoFrameCallback(note); };
        video.requestVideoFrameCallback(note);
      })""")


def now(tab):
    """The moments that the clips on the stage show: the one on top or at the left first."""
    return tab.js("[...document.querySelectorAll('#stage video')].map((video) => video.now ?? null)")


def show(tab, state, *, speed=1):
    """Open the box of the first cell in a state of the page."""
    if tab.js("location.protocol") != "file:":
        tab.open()
    tab.js(f"moment.playing = true; moment.rate = {speed}; moment.time = -1")
    tab.open(f"cell={tab.js('DATA.keys[0]')}&{state}")
    watch(tab)
    tab.until(PLAYED)


def shown_numbers(tab):
    """The numbers of the frames that the clips show, read from the screen."""
    picture = base64.b64decode(tab.call("Page.captureScreenshot", format="png")["data"])
    screen = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    found = []
    for x, y, width, height in tab.js("""[...document.querySelectorAll('#stage video')].map((video) => {
        const box = video.getBoundingClientRect(), scale = Math.min(box.width / 64, box.height / 48);
        const [w, h] = [64 * scale, 48 * scale];
        return [box.x + (box.width - w) / 2, box.y + (box.height - h) / 2, w, h].map(Math.round) })"""):
        found.append(number_of(screen[y : y + height, x : x + width]))
    return found


def pause_at_first(tab):
    tab.js("moment.playing = false; player.seekFrame(0)")
    tab.until(f"{PLAYED} && player.videos.every((video) => video.node.paused)")


def test_the_grid_shows_moving_thumbnails(tab):
    tab.open()
    tab.until("[...document.querySelectorAll('.cell img')].every((image) => image.complete && image.naturalWidth > 0)")
    assert tab.js("document.querySelectorAll('.cell img').length") == 2
    assert tab.js("document.querySelectorAll('.cell video').length") == 0
    assert {"warping_error", "tof", "drift", "clip_seconds"} <= set(tab.js("[...METRICS.keys()]"))


def test_a_clip_plays_all_of_its_frames_again_and_again(tab):
    show(tab, "mode=one")
    assert tab.js("document.querySelectorAll('#stage video').length") == 1
    tab.until(f"new Set(document.querySelector('#stage video').seen).size >= {len(FRAMES)}")
    tab.js("document.querySelector('#stage video').seen.length = 0")
    tab.until(f"new Set(document.querySelector('#stage video').seen).size >= {len(FRAMES)}")
    seen = sorted(set(tab.js("document.querySelector('#stage video').seen")))
    assert seen == pytest.approx(TIMES, abs=1e-3)


def test_the_steps_go_from_frame_to_frame(tab):
    show(tab, "mode=side&against=content")
    pause_at_first(tab)
    for step, place in [(".", 1), (".", 2), (",", 1), (",", 0), (",", 5), (".", 0)]:
        tab.key(step)
        tab.until(PLAYED)
        tab.until(
            f"[...document.querySelectorAll('#stage video')].every((v) => Math.abs(v.now - {TIMES[place]}) < 0.002)"
        )
        label = tab.js("document.querySelector('.transport output').textContent")
        assert label == f"frame {FRAMES[place]}, {TIMES[place]:.3f} s"
        assert shown_numbers(tab) == [FRAMES[place]] * 2


def test_two_clips_stay_in_step(tab):
    """The content has every frame, the stylized clip every second one.

    Clocks are looked at as they run; a busy machine shows single frames late, so that of frames the median counts.
    """
    show(tab, "mode=side&against=content", speed=0.1)
    tab.until("[...document.querySelectorAll('#stage video')].every((video) => video.now !== undefined)")
    late = []
    for _ in range(30):
        tab.until("[...document.querySelectorAll('#stage video')].every((video) => !video.seeking && !video.paused)")
        (content, own), clocks = (
            now(tab),
            tab.js("[...document.querySelectorAll('#stage video')].map((video) => video.currentTime)"),
        )
        assert abs(clocks[0] - clocks[1]) < FRAME
        assert any(abs(own - time) < 0.002 for time in TIMES)
        late.append(max(own - content, content - own - FRAME))
        tab.js("new Promise((done) => setTimeout(done, 50))")
    assert np.median(late) < FRAME + 0.002


def test_a_clip_that_is_pushed_out_of_step_comes_back(tab):
    show(tab, "mode=side&against=content", speed=0.4)
    for push in (0.5, -0.25, 0.1):
        tab.js(f"document.querySelector('#stage video.second').currentTime += {push}")
        tab.until(f"""{PLAYED} && Math.abs(player.videos[1].node.currentTime - player.videos[0].node.currentTime)
            < {FRAME}""")
    tab.key(" ")
    tab.until(f"!moment.playing && {PLAYED}")
    tab.until("new Set([...document.querySelectorAll('#stage video')].map((v) => Math.round(v.now * 100))).size === 1")
    assert len(set(shown_numbers(tab))) == 1


def test_the_space_bar_plays_and_pauses_from_the_first_moment(tab):
    """A dialog gives the focus to its first button, which the space bar would press: here it went to another cell."""
    tab.open(anew=True)
    show(tab, "mode=side&against=content")
    cell = tab.js("state.cell")
    tab.key(" ")
    tab.until(f"!moment.playing && {PLAYED}")
    tab.key(" ")
    tab.until(f"moment.playing && {PLAYED}")
    assert tab.js("state.cell") == cell


@pytest.mark.parametrize(("by_keyboard", "focused"), [(True, "Slider"), (False, "stage")])
def test_a_button_keeps_the_focus_of_the_keyboard_and_gives_back_that_of_a_click(tab, by_keyboard, focused):
    show(tab, "mode=side&against=content")
    button = "[...document.querySelectorAll('.bar button')].find((b) => b.textContent === 'Slider')"
    if by_keyboard:
        tab.js("document.querySelector('.bar button').focus()")
        for _ in range(4):
            tab.key("Tab", 9)
        assert tab.js(f"document.activeElement === {button}")
        tab.key(" ", 32)
    else:
        tab.js("document.activeElement.blur()")  # a button that the keyboard has focused keeps that when it is clicked
        middle = "(({x, y, width, height}) => [x + width / 2, y + height / 2])"
        x, y = tab.js(f"{middle}({button}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            tab.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    tab.until("state.mode === 'slider'")
    tab.until(f"(document.activeElement.id || document.activeElement.textContent) === {focused!r}")


def test_the_slider_and_the_keys_work_together(tab):
    show(tab, "mode=slider&against=content")
    pause_at_first(tab)
    tab.type("#stage .over input", "25")
    assert tab.js("document.querySelector('#stage .top').style.clipPath") == "inset(0px 75% 0px 0px)"
    tab.js("document.querySelector('#stage .over input').focus()")
    tab.key(".")
    tab.until(f"{PLAYED} && player.frame === 1")
    assert tab.js("document.querySelector('#stage .over input').value") == "25"
    tab.js("document.querySelector('.transport input').focus()")
    tab.type(".transport input", "3")
    tab.until(f"{PLAYED} && player.frame === 3")
    tab.until(f"Math.abs(document.querySelector('#stage video.top').now - {TIMES[3]}) < 0.002")


def test_the_difference_of_equal_frames_is_black(tab):
    show(tab, "mode=difference&against=content")
    pause_at_first(tab)
    tab.key(".")
    tab.until(f"[...document.querySelectorAll('#stage video')].every((v) => Math.abs(v.now - {TIMES[1]}) < 0.002)")
    picture = base64.b64decode(tab.call("Page.captureScreenshot", format="png")["data"])
    x, y, width, height = map(
        round,
        tab.js(
            "(({x, y, width, height}) => [x, y, width, height])(document.querySelector('.fit').getBoundingClientRect())"
        ),
    )
    inside = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))[y : y + height, x : x + width]
    assert inside.mean() < 5  # neighbouring frames differ by ten


def test_against_a_pinned_clip_and_a_style(tab):
    show(tab, "mode=side&against=content")
    tab.key("p")
    tab.key("ArrowRight", 39)
    watch(tab)
    tab.until(f"{PLAYED} && player.videos.length === 2")
    assert "pinned" in tab.js("document.querySelector('#stage').textContent")
    pause_at_first(tab)
    tab.key(".")
    tab.until(f"[...document.querySelectorAll('#stage video')].every((v) => Math.abs(v.now - {TIMES[1]}) < 0.002)")
    assert tab.js("new Set([...document.querySelectorAll('#stage video')].map((video) => video.src)).size") == 2
    tab.js("[...document.querySelectorAll('.bar button')].find((b) => b.textContent === 'style').click()")
    tab.until(f"{PLAYED} && player.videos.length === 1")
    assert tab.js("document.querySelectorAll('#stage figure img').length") == 1
    assert tab.js("player.frame") == 1  # the moment stays


def test_closing_the_box_stops_its_clips(tab):
    show(tab, "mode=side&against=content")
    tab.js("window.kept = [...document.querySelectorAll('#stage video')]")
    tab.key("Escape", 27)
    tab.until("player === null")
    assert tab.js("kept.every((video) => video.paused && !video.hasAttribute('src'))")


def test_the_manifest_of_a_cell_makes_the_same_cell(tab, sweep, folder):
    for number, cell_id in enumerate(sweep[1].plan.cells.ids):
        tab.open(f"cell={cell_id}")
        text = tab.js("document.querySelector('#yaml').textContent")
        (folder / f"cell{number}.yaml").write_text(text)
        again = planned(folder / f"cell{number}.yaml", folder / "out")
        assert list(again.plan.cells.ids) == [cell_id]


def test_a_clip_that_the_browser_cannot_play_and_has_no_copy_is_shown_as_its_preview(tab, folder):
    page, prepared = made(
        folder, MANIFEST.replace("moving", "lossless").replace("methods:", "output: {video: ffv1}\nmethods:")
    )
    wanted = ("cell_id", set(prepared.plan.cells.ids))
    for digest in prepared.root.catalog.read("results", ["cell_id", "picture_digest"], where=wanted)["picture_digest"]:
        prepared.root.store.delete(copy_key(digest.as_py()))
    tab.call("Page.navigate", url=f"file://{page}".replace("#", "%23").replace("?", "%3f"))
    tab.until("document.title.startsWith('lossless') && document.querySelector('#views button') !== null")
    tab.js("document.querySelector('.cell').click()")
    tab.until("document.querySelector('#stage > .note')?.textContent.includes('cannot play')")
    tab.until("document.querySelector('#stage img.own').naturalWidth > 0")
    tab.faults[:] = [fault for fault in tab.faults if "ERR_FILE_NOT_FOUND" not in str(fault)]  # the copy
    tab.open(anew=True)
