"""What the page says, where it says it, and what its buttons undo, in a real browser."""

from __future__ import annotations

import pytest
from browser import CHROMIUM
from look import looked_at

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with looked_at(tmp_path_factory) as found:
        yield found


@pytest.fixture(autouse=True)
def _no_faults(tab):
    tab.faults.clear()
    yield
    tab.call("Emulation.clearDeviceMetricsOverride")
    assert tab.faults == []
    assert all(address.startswith(("file:", "data:", "about:")) for address in tab.requests)


def test_a_caption_stands_close_below_its_picture_whose_shape_leaves_room(tab):
    tab.call("Emulation.setDeviceMetricsOverride", width=1300, height=850, deviceScaleFactor=1, mobile=False)
    for state in (f"cell={tab.ids[0]}&mode=side", ""):
        tab.open(state, anew=True)
        if not state:
            tab.key("v")
        tab.until(
            "[...document.querySelectorAll('dialog[open] figure img')].filter((image) => image.naturalWidth).length > 1"
        )
        gaps = tab.js("""[...document.querySelectorAll("dialog[open] figure")].map((figure) => {
            const [image, caption] = [figure.querySelector("img"), figure.querySelector("figcaption")];
            const box = image.getBoundingClientRect();
            const high = Math.min(box.height, box.width * image.naturalHeight / image.naturalWidth);
            return caption.getBoundingClientRect().top - (box.top + box.bottom + high) / 2;
        })""")
        assert all(0 <= gap < 4 for gap in gaps), gaps
        assert tab.js("document.querySelector('dialog[open] figure img').getBoundingClientRect().height") > 450
    tab.key("Escape", 27)


def test_reset_shows_all_cells_and_keeps_the_view(tab):
    tab.open("view=list&sort=seconds&theme=dark&q=town&f.style_weight=0&status=done&n=seconds", anew=True)
    assert tab.js("document.querySelector('#count').textContent").startswith("1 of")
    tab.js("document.querySelector('#reset').click()")
    assert tab.js("document.querySelector('#count')") is None
    assert tab.js("location.hash") == "#view=list&sort=seconds&n=seconds&theme=dark"


def test_the_page_names_the_only_style_and_says_how_to_make_the_rest(tab):
    tab.open()
    assert tab.js("document.querySelector('#only').textContent") == "style night"
    assert tab.js("document.querySelector('#news').textContent").startswith("Not finished: 1 cell is to do.")
    assert tab.js("document.querySelector('#progress').hidden")


def test_a_page_without_a_server_says_where_votes_are_seen(tab):
    tab.open("view=ranking")
    assert "nst gallery --serve" in tab.js("document.querySelector('main').textContent")


def test_the_last_vote_is_told_apart_from_the_pair_and_all_pairs_are_said_to_be_compared(tab):
    tab.open(anew=True)
    tab.key("v")
    asked = "document.querySelector('#asked').textContent"
    assert tab.js("document.querySelector('#said').textContent") == ""
    for _ in range(6):  # three pairs of weights of each of the two contents that are done
        assert tab.js(asked) == "Which of the two is better?"
        tab.key("1")
    assert tab.js(asked).startswith("All 6 pairs are compared")
    assert tab.js("document.querySelector('#said').textContent").startswith("Last vote: you chose style_weight=")
    before = "document.querySelector('#said').compareDocumentPosition(document.querySelector('#sides'))"
    assert tab.js(f"{before} & Node.DOCUMENT_POSITION_FOLLOWING")
    for _ in range(6):
        tab.key("u")
    assert tab.js("choices.votes.size") == 0
    tab.js("document.querySelector('#vote').close()")


def test_a_cell_that_was_opened_from_the_plot_becomes_a_favourite(tab):
    """A dot names its cell as a picture of the grid does, and is no picture."""
    tab.open("view=plot&px=style_loss&py=content_loss", anew=True)
    tab.js("document.querySelector('circle.dot').dispatchEvent(new MouseEvent('click'))")
    tab.key("f", 70)
    assert tab.js("document.querySelector('#star').getAttribute('aria-pressed')") == "true"
    tab.key("f", 70)
    assert tab.js("document.querySelector('#star').getAttribute('aria-pressed')") == "false"
    tab.key("Escape", 27)
    assert tab.js("document.querySelectorAll('circle.dot').length") == 7


def test_bytes_are_told_with_their_unit_at_the_lines_of_a_plot(tab):
    tab.open(anew=True)
    tab.js("METRICS.get('picture_bytes').values.forEach((v, i, all) => { all[i] = v && 6e8 + i * 5e7; })")
    tab.open("view=plot&px=style_loss&py=picture_bytes&ly=0")
    assert "800 MB" in tab.js("[...document.querySelectorAll('#main svg text')].map((node) => node.textContent)")
    tab.open(anew=True)


@pytest.mark.parametrize(("width", "height"), [(390, 420), (1300, 900)])
def test_pictures_that_fill_the_width_leave_nothing_to_scroll_sideways(tab, width, height):
    """Also where the bar that scrolls down takes some of the width."""
    tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    tab.open("x=style_weight&y=content", anew=True)
    main = "document.querySelector('main')"
    assert tab.js(f"{main}.scrollHeight > {main}.clientHeight")
    assert tab.js(f"{main}.scrollWidth") == tab.js(f"{main}.clientWidth")
    last = "[...document.querySelectorAll('.cell')].at(-1).getBoundingClientRect().right"
    assert tab.js(f"{main}.clientWidth - {last}") < 80
