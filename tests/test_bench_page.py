"""The benchmark of the page measures a real browser; its figures are in `benchmarks/REPORT.md`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from browser import CHROMIUM

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]


def test_it_prints_a_line_of_positive_figures_for_each_number_of_cells():
    pytest.importorskip("websockets.sync.client")
    script = Path(__file__).parent / "benchmarks" / "bench_page.py"
    done = subprocess.run([sys.executable, script, "12", "100"], capture_output=True, text=True, check=True)
    heads, _, *lines = ([part.strip() for part in line.split("|")[1:-1]] for line in done.stdout.splitlines())
    assert [line[0] for line in lines] == ["12", "100"]
    for line in lines:
        found = dict(zip(heads, map(float, line), strict=True))
        assert found["cells drawn"] == found["cells"]
        assert found["MB resident"] > 20, "a renderer of Chromium has more than that"
        assert found["s to the first view"] > 0
