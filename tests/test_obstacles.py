"""Something else in the place of a folder of pictures is told once and before anything starts; no cell fails for it."""

from __future__ import annotations

import pytest
from sweeps import TINY, plan, write_pictures

from nst.errors import UserError
from tasks.store import open_store
from tasks.store.obstacles import check_folders
from tasks.work.stylize import Stylist

SWEEP = f"name: x\ncontents: [cat.png, dog.png]\nstyles: waves.png\nmethod: {{name: gatys, {TINY}}}\n"


def to_nothing(path):
    path.symlink_to(path.parent / "disk that is away")


def to_file(path):
    path.write_text("no folder")


@pytest.mark.parametrize(("make", "what"), [(to_nothing, "a link to nothing"), (to_file, "no folder")])
@pytest.mark.parametrize("name", ["pictures", "thumbs", "pictures/ab"])
def test_it_is_one_line_when_the_run_is_planned(tmp_path, make, what, name):
    write_pictures(tmp_path)
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    make(tmp_path / "out" / name)
    with pytest.raises(UserError, match=rf"/out/{name} is {what}") as caught:
        plan(tmp_path, SWEEP)
    assert "\n" not in str(caught.value)


def test_links_to_folders_strangers_and_buckets_are_left_alone(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/pictures").mkdir(parents=True)
    (tmp_path / "out/thumbs").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out/pictures/README.txt").write_text("a note")
    check_folders(open_store(tmp_path / "out"), ["pictures/", "thumbs/", "models/"])
    check_folders(open_store("memory://nst-obstacles"), ["pictures/"])


def test_a_store_that_refuses_in_mid_run_ends_the_run_and_fails_no_cell(tmp_path):
    write_pictures(tmp_path)
    prepared = plan(tmp_path, SWEEP)
    (tmp_path / "out").mkdir(exist_ok=True)
    to_nothing(tmp_path / "out/pictures")
    stylist = Stylist(prepared.root, "cpu")
    (batch,) = [prepared.job(batch) for batch in prepared.plan.batches()][:1]
    with pytest.raises(UserError, match="is a link to nothing"):
        stylist.run(batch)
    assert prepared.root.catalog.counts("failures") == {}
