"""How wide the strokes of a painting become, which `nst plan` tells before anything is painted."""

from __future__ import annotations

import pytest
from sweeps import TINY, plan, write_pictures

from flows.command.terminal import Terminal
from flows.order.tables import sweep_table


def told(folder, method, styles="waves.png"):
    """Return the plan's row and its figures; the painting `waves` is 36 pixels long, `dog` 50, the content `cat` 40."""
    prepared = plan(write_pictures(folder), f"name: a\ncontents: cat.png\nstyles: {styles}\nmethod: {method}\n")
    terminal = Terminal(width=120, record=True)
    terminal.print(sweep_table(prepared))
    lines = [line for line in terminal.export_text().splitlines() if "strokes" in line]
    return " ".join(lines), prepared.to_json()["stroke_widths"]


@pytest.mark.parametrize(
    ("method", "widths", "text"),
    [
        (f"{{name: gatys, {TINY}}}", (32 / 36, 32 / 36), "10 px of a painting are 8.89 px of its picture"),
        (f"{{name: gatys, {TINY}, style_scale: 0.5}}", (16 / 36, 16 / 36), "10 px of a painting are 4.44 px"),
        (f"{{name: gatys, {TINY.replace('32', 'original')}}}", (40 / 36, 40 / 36), "are 11.1 px"),
        ("{name: baseline, size: 32}", None, ""),
    ],
)
def test_a_painting_is_as_long_as_the_picture_times_its_scale(tmp_path, method, widths, text):
    line, found = told(tmp_path, method)
    assert text in line
    assert found == (widths and pytest.approx(widths))
    assert bool(line) == bool(widths)


def test_the_narrowest_and_the_widest_of_several_paintings_are_told(tmp_path):
    mix = "[waves.png, {name: mix, images: [{uri: waves.png, scale: 2}, {uri: dog.png}]}]"
    line, found = told(tmp_path, f"{{name: gatys, {TINY}}}", mix)
    assert found == pytest.approx((32 / 50, 64 / 36))
    assert "6.4 to 17.8 px" in line
