"""`nst run --only FILE`: which cells a list names, and that the sweep stays the whole one."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from sweeps import TINY_MANIFEST, TINY_METHOD, write_pictures
from typer.testing import CliRunner
from warm import nst as command

import nst
from flows.__main__ import app
from flows.order.request import Request, order_of
from nst.errors import InputError
from tasks.root import open_root
from tasks.status import sweep_statuses

MANIFEST = """
name: chosen
contents: [cat.png, dog.png]
styles: waves.png
method: {name: gatys, size: SIZE, steps: 2, content_layers: relu1_1, style_layers: relu1_1, backbone: {weights: random}}
sweep: {style_weight: [3, 30], color: [style, luminance]}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(write_pictures(tmp_path))
    (tmp_path / "m.yaml").write_text(MANIFEST.replace("SIZE", "32"))
    (tmp_path / "large.yaml").write_text(MANIFEST.replace("SIZE", "48"))
    return tmp_path


def planned(folder, only, manifest="m.yaml"):
    return order_of(Request(str(folder / manifest), open_root(str(folder / "out")), only=only)).prepared


def chosen(folder, text, *, name="list", manifest="m.yaml"):
    """Return the numbers of the cells that are run of a list."""
    (folder / name).write_text(text)
    plan = planned(folder, str(folder / name), manifest).plan
    return sorted(plan.cells.ids.index(cell.cell_id) for batch in plan.batches() for cell in batch.cells)


def csv_of(rows, columns="cell_id,content_name,style_name,favourite,tags,note,style_weight,color"):
    return "\n".join([columns, *rows]) + "\n"


def test_a_plain_list_of_ids_or_their_beginnings(folder):
    ids = planned(folder, None).plan.cells.ids
    assert chosen(folder, f"# mine\n\n{ids[5]}\n  {ids[0]}  # the first\n{ids[0]}\n") == [0, 5]
    assert chosen(folder, f"\ufeff{ids[2][:8]}\r\n{ids[3]}\r\n") == [2, 3]
    assert chosen(folder, json.dumps(ids[:2])) == [0, 1]
    assert planned(folder, (ids[1], ids[6])).plan.to_do == 2


def test_the_csv_of_a_page_chooses_each_of_its_cells_and_its_json_the_favourites(folder):
    ids = planned(folder, None).plan.cells.ids
    rows = [
        f'{ids[1]},cat,waves,false,,"two\nlines, ""quoted""",3,luminance',
        f"{ids[4]},dog,waves,true,print,,3,style",
    ]
    assert chosen(folder, csv_of(rows)) == [1, 4]
    notes = [{"cell_id": cell, "favourite": number % 2 == 0, "tags": [], "note": ""} for number, cell in enumerate(ids)]
    assert chosen(folder, json.dumps({"page": "m", "annotations": notes, "votes": []})) == [0, 2, 4, 6]


def test_a_draft_is_found_again_at_another_size_by_its_names_and_settings(folder):
    drafts, large = (planned(folder, None, name).plan.cells.ids for name in ("m.yaml", "large.yaml"))
    assert not set(drafts) & set(large)
    row = f"{drafts[6]},dog,waves,true,,,30,style"
    assert chosen(folder, csv_of([row]), manifest="large.yaml") == [6]
    note = {"cell_id": drafts[1], "favourite": True, "content_name": "cat", "style_name": "waves"}
    settings = {"style_weight": 3.0, "color": "luminance", "not_of_this_sweep": 7}
    text = json.dumps({"annotations": [{**note, "settings": settings}]})
    assert chosen(folder, text, manifest="large.yaml") == [1]
    # what a list does not tell chooses every value
    assert chosen(folder, csv_of([f"{drafts[6]},dog,waves,,,,30,"]), manifest="large.yaml") == [6, 7]
    assert chosen(folder, f"cell_id,content_name\n{drafts[0]},dog\n", manifest="large.yaml") == [4, 5, 6, 7]


def test_a_cell_that_is_none_of_the_sweep_is_told_with_its_line(folder):
    ids = planned(folder, None).plan.cells.ids
    with pytest.raises(InputError, match=rf"{folder}/list:3: no cell '0{{32}}' in the sweep"):
        chosen(folder, f"{ids[0]}\n\n{'0' * 32}\n")
    with pytest.raises(InputError, match=r"list:3: no cell 'f{32}' in the sweep, nor any of content_name=cow"):
        chosen(folder, csv_of([f"{ids[0]},cat,waves,,,,3,style", f"{'f' * 32},cow,waves,,,,3,style"]))
    text = json.dumps(
        {"annotations": [{"cell_id": ids[0], "favourite": True}, {"cell_id": "e" * 32, "favourite": True}]}, indent=1
    )
    with pytest.raises(InputError, match=r"list:8: no cell 'e{32}'"):
        chosen(folder, text)
    with pytest.raises(InputError, match=r"and 995 more"):
        chosen(folder, "\n".join(f"{number:032x}" for number in range(1000)))
    with pytest.raises(InputError, match="cell 2: no cell 'x'"):
        planned(folder, (ids[0], "x"))


def test_a_row_of_another_sweep_is_told_by_names_and_settings_alone(folder):
    row = f"{'f' * 32},cow,waves,false,print,a note,128,style"
    with pytest.raises(InputError, match="choosing this sweep in the filter") as error:
        chosen(folder, csv_of([row]))
    told = "content_name=cow, style_name=waves, style_weight=128, color=style"
    assert str(error.value).startswith(f"{folder}/list:2: no cell '{'f' * 32}' in the sweep, nor any of {told} (")


def test_votes_and_an_id_in_place_of_a_file_are_refused(folder):
    with pytest.raises(InputError, match=r"list has votes \(export the cells"):
        chosen(folder, "vote_id,left_cell_id,right_cell_id,preferred\na,b,c,left\n")
    cell = planned(folder, None).plan.cells.ids[0]
    for wanted in (cell, cell[:8]):
        with pytest.raises(InputError, match=f"no file {wanted}; --only expects a file that lists ids"):
            planned(folder, wanted)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "list has no cell"), ("# nothing\n\n", "list has no cell"), (csv_of([]), "list has no cell"),
        ('{"annotations": []}', "list has no favourite"), ("{", "is no list of cells"), ("[1]", "is no list of cells"),
        ('{"votes": []}', "is no list of cells: it has no list `annotations`"), ("{" * 9999, "is no list of cells"),
        ('{"annotations": [3]}', "is no list of cells: one of its cells has no `cell_id`"),
        ('cell_id,note\nx,"open', "is no list of cells"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_told(folder, text, said):
    with pytest.raises(InputError, match=said):
        chosen(folder, text)


def test_a_file_that_is_missing_no_text_or_for_a_training_is_told(folder):
    with pytest.raises(InputError, match="nothing"):
        planned(folder, str(folder / "nothing"))
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no list of cells"):
        planned(folder, str(folder / "binary"))
    (folder / "t.yaml").write_text(
        "kind: train\nname: t\nphotographs: .\nstyles: waves.png\ntraining: {family: johnson}\n"
    )
    with pytest.raises(InputError, match="a training has no cells"):
        planned(folder, str(folder / "binary"), "t.yaml")


def test_the_plan_says_what_is_not_chosen(folder):
    (folder / "list").write_text("\n".join(planned(folder, None).plan.cells.ids[:3]))
    said = CliRunner().invoke(app, ["plan", "m.yaml", "--only", "list", "--json"], catch_exceptions=False)
    plan = json.loads(said.output)
    assert (plan["cells"], plan["to_do"], plan["not_chosen"], plan["reasons"]["new"]) == (8, 3, 5, 3)
    assert plan["sweep_id"] == planned(folder, None).plan.sweep_id
    shown = CliRunner().invoke(app, ["plan", "m.yaml", "--only", "list"], catch_exceptions=False).output
    assert "not chosen" in shown


def test_models_are_trained_for_the_chosen_cells_alone(folder):
    (folder / "photographs").mkdir()
    (folder / "cat.png").rename(folder / "photographs/cat.png")
    for number, name in enumerate("ab"):
        settings = f"family: johnson, size: 32, steps: 2, seed: {number}, backbone: {{weights: random}}"
        training = (
            f"kind: train\nname: {name}\nphotographs: photographs/\nstyles: waves.png\ntraining: {{{settings}}}\n"
        )
        (folder / f"{name}.yaml").write_text(training)
    images = "contents: dog.png\nstyles: waves.png\n"
    method = "method: {name: feedforward, size: 32}\nsweep: {model: [a.yaml, b.yaml]}\n"
    (folder / "both.yaml").write_text(f"name: both\n{images}{method}")
    whole = planned(folder, None, "both.yaml")
    assert [training.name for training in whole.trainings] == ["a", "b"]
    table = " ".join(nst.plan("both.yaml").table.replace("│", " ").split())
    assert "and the training of 2 models, whose time is not known" in table
    assert [training.name for training in planned(folder, (whole.plan.cells.ids[1],), "both.yaml").trainings] == ["b"]


@pytest.mark.process
def test_only_these_are_computed_and_the_next_run_does_the_rest_of_the_same_sweep(folder):
    ids = planned(folder, None).plan.cells.ids
    (folder / "list").write_text("\n".join(ids[2:4]))
    first = command("run", "m.yaml", "--inline", "--only", "list", cwd=folder)
    assert first.returncode == 0, first.stderr
    assert "2 done" in first.stdout
    assert "6 were not chosen" in first.stdout
    assert set(pd.read_parquet("out/catalog/results").cell_id) == set(ids[2:4])
    assert set(pd.read_parquet("out/catalog/sweeps").cell_id) == set(ids)
    (status,) = sweep_statuses(open_root("out"))
    assert (status.total, status.done, status.to_do) == (8, 2, 6)
    second = command("run", "m.yaml", "--inline", cwd=folder)
    assert "6 done" in second.stdout
    assert "not chosen" not in second.stdout
    (status,) = sweep_statuses(open_root("out"))
    assert (status.total, status.done) == (8, 8)


@pytest.mark.process
def test_the_same_from_python(folder):
    manifest = {**TINY_MANIFEST, "method": TINY_METHOD}
    plan = nst.plan(manifest)
    frame = nst.run(manifest, progress=False).results()
    picked = frame[frame.style_weight == 30].cell_id
    large = {**manifest, "method": {**TINY_METHOD, "size": 48}}
    with pytest.raises(InputError, match="no cell"):
        nst.plan(large, only=picked)
    picked_rows = frame[frame.style_weight == 30][["cell_id", "content_name", "style_name", "style_weight"]]
    picked_rows.to_csv("picked.csv", index=False)
    assert nst.plan(large, only="picked.csv").to_do == 2
    done = nst.run(large, only="picked.csv", progress=False)
    assert (done.done, done.total, plan.total) == (2, 4, 4)
    assert set(done.results().style_weight) == {30}
    for wrong in ([], [3], {}):
        with pytest.raises(InputError, match="as the cells to run"):
            nst.plan(manifest, only=wrong)


def test_an_empty_name_of_a_file_is_not_all_cells(folder):
    for only in ("", ()):
        with pytest.raises(InputError):
            planned(folder, only)
    shown = CliRunner().invoke(app, ["plan", str(folder / "m.yaml"), "--only", ""])
    assert isinstance(shown.exception, InputError) or shown.exit_code == 2
    for only in ("", [], 5, True):
        with pytest.raises(InputError):
            nst.plan(str(folder / "m.yaml"), only=only)


def test_names_that_are_equal_as_numbers_are_different_names(tmp_path, monkeypatch):
    monkeypatch.chdir(write_pictures(tmp_path))
    for name in ("1", "01", "-2", "'=2"):
        (tmp_path / f"{name}.png").write_bytes((tmp_path / "cat.png").read_bytes() + name.encode())
    contents = MANIFEST.replace("[cat.png, dog.png]", """['1.png', '01.png', './-2.png', "'=2.png"]""").replace(
        "SIZE", "32"
    )
    (tmp_path / "m.yaml").write_text(contents)
    for listed, name in (("1", "1"), ("01", "01"), ("'-2", "-2"), ("''=2", "'=2")):  # as exports guard them
        (tmp_path / "list.csv").write_text(csv_of([f"{'0' * 32},{listed},waves,true,,,3,style"]))
        plan = planned(tmp_path, str(tmp_path / "list.csv")).plan
        assert [cell.content.name for batch in plan.batches() for cell in batch.cells] == [name]
