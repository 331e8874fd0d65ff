"""The example notebook runs as it stands, and what its text says about the numbers holds."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pandas as pd
import pytest

from tasks.samples import write_samples

NOTEBOOK = Path(__file__).parent.parent / "docs/compare.ipynb"


def cells(kind):
    book = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [cell | {"source": "".join(cell["source"])} for cell in book["cells"] if cell["cell_type"] == kind]


def execute(source, names):
    """Run a cell as a notebook does, and return the value of its last expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None


@pytest.mark.slow
def test_it_runs_and_its_text_is_true(tmp_path, monkeypatch, capsys):
    write_samples(tmp_path / "samples")
    monkeypatch.chdir(tmp_path)
    names = {}
    values = [execute(cell["source"], names) for cell in cells("code")]
    assert "12 made, 0 were there before, 0 failed" in capsys.readouterr().out
    assert len(pd.read_parquet("out/catalog/results")) == 12
    (shown,) = (value for value in values if hasattr(value, "_repr_html_") and not isinstance(value, pd.DataFrame))
    assert (len(shown.rows), len(shown.columns), len(shown.places), shown.note) == (4, 3, 12, "")
    assert values[-1].size == (96, 64)
    table = names["table"]
    for color in ("style", "luminance"):  # "More weight takes structure away, whichever colours are chosen"
        assert table.ssim_content[color].is_monotonic_decreasing
    distance = table.palette_distance_content
    # "the palette stays near the photograph's at every weight"
    assert (distance["luminance"] < distance["style"] / 2).all()
    row = names["strongest"]
    assert (row.color, row.style_weight) == ("luminance", 300)


def test_its_outputs_are_stored_small_and_name_no_machine():
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 200_000
    assert "file:///" not in text
    for cell in cells("code"):
        assert cell["outputs"] or "=" in cell["source"]
        assert all(output["output_type"] != "error" for output in cell["outputs"])
