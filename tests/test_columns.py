"""Tables of `nst status` and `nst models` at 80 columns: names are whole, numbers are never cut."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from flows.command import models
from flows.command.columns import broken
from flows.command.status import print_overview
from flows.command.terminal import Terminal, printable
from tasks.status.submissions import Overview, Submission

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
LONG = "portraits-of-the-family-after-impressionists-2026-11"


def terminal(width=80):
    return Terminal(file=io.StringIO(), width=width)


def column(text, start, end):
    """What stands in a column of text, without breaks of lines."""
    return "".join(line[start:end].strip() for line in text.splitlines())


def status(name, sweep_id, total, kind="sweep"):
    return Submission(
        kind, sweep_id, name, NOW, total, total - 10, 10, 0, taking_part=0, is_open=False, is_withdrawn=False
    )


@pytest.mark.parametrize("width", [40, 80, 200])
def test_sweeps_whose_names_differ_at_their_ends_can_be_told_apart(width):
    found = [status(f"{LONG}-night", "aaaa1111", 1_234_567), status(f"{LONG}-noon", "bbbb2222", 100, kind="training")]
    out = terminal(width)
    print_overview(Overview("file:///out", tuple(found), ()), out)
    text = out.file.getvalue()
    assert "\u2026" not in text
    for shown in ("aaaa1111", "2026-11-21 09:30Z", "1,234,567", "1,234,557", "100 models", "failures"):
        assert shown in text
    if width == 80:
        assert max(map(len, text.splitlines())) <= 80
    start = next(line.index("aaaa1111") for line in text.splitlines() if "aaaa1111" in line)
    assert column(text, 0, start) == f"name{LONG}-night{LONG}-noon"


def test_models_tell_their_names_and_styles(monkeypatch):
    styles = [f"starry_night_over_the_rhone_version_{n}" for n in (1, 2)]
    row = {
        "model_id": "abcd1234ef", "family": "super_resolution", "name": "winter-and-snow-of-2026", "steps_done": 20000,
        "style_names": json.dumps(styles), "content_loss": 0.123456, "style_loss": 1.23e-5, "finished_at": NOW,
    }  # fmt: skip
    monkeypatch.setattr(models, "model_rows", lambda catalog, ids: [row])
    out = terminal()
    models.print_models(type("R", (), {"catalog": None, "uri": "x"}), [], out, as_json=False)
    text = out.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    start, end = (text.splitlines()[0].index(head) for head in ("styles", "steps"))
    assert column(text, start, end).removeprefix("styles") == f"{styles[0]},{styles[1]}"
    for shown in ("abcd1234", "super_resolution", "20000", "0.1235", "1.23e-05", "2026-11-21"):
        assert shown in text


CLUSTERS = st.text(
    st.sampled_from("ab -_\u0301\u0e33\u1160\u200d\u20e3\ufe0f\u65e5\U0001f1e9\U0001f3fb\U0001f469\U0001f52c"),
    max_size=30,
)


@given(st.text(max_size=80) | CLUSTERS, st.integers(4, 40))
@example(name="\U0001f3fb", width=4)
@example(name="\u200d\u200d1\u65e5\U0001f469", width=4)
def test_a_broken_name_is_whole_and_fits(name, width):
    name = printable(name)
    lines = broken(name, width).split("\n")
    assert all(cell_len(line) <= width for line in lines)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", name)
