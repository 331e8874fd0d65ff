"""The prepared photographs: every picture once, its middle, in an order that the files alone decide."""

from __future__ import annotations

import hashlib
import os

import numpy as np
import pytest

from nst.errors import InputError
from nst.pictures.images import encode
from nst.records import ImageRef, OutputFormat
from tasks.work import dataset
from tasks.work.dataset import prepare_dataset


def refs(folder, arrays):
    found = []
    for number, data in enumerate(arrays):
        path = folder / f"{number}.png"
        path.write_bytes(data if isinstance(data, bytes) else encode(data, OutputFormat(), {}))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found.append(ImageRef(path.stem, str(path), digest))
    return found


def flat(value, height=24, width=36):
    return np.full((height, width, 3), value, np.uint8)


def test_every_photograph_is_there_once_in_the_order_of_digests(tmp_path):
    found = refs(tmp_path, [flat(value) for value in range(0, 200, 2)])
    made = prepare_dataset([*found, *found[:5]], 16, folder=tmp_path / "cache")
    assert made.array.shape == (100, 16, 16, 3)
    assert made.array.dtype == np.uint8
    order = sorted(range(100), key=lambda number: found[number].digest)
    assert made.array[:, 0, 0, 0].tolist() == [2 * number for number in order]
    assert order != sorted(order)
    assert isinstance(made.array, np.memmap)


def test_the_middle_is_kept(tmp_path):
    array = flat(0, 16, 48)
    array[:, 16:32] = 255
    made = prepare_dataset(refs(tmp_path, [array]), 16, folder=tmp_path / "cache")
    assert (made.array[0] == 255).all()


def test_files_that_are_no_pictures_are_left_out_and_named(tmp_path):
    found = refs(tmp_path, [flat(1), b"nothing", flat(3), flat(4, 16, 900)])
    made = prepare_dataset(found, 16, folder=tmp_path / "cache")
    assert sorted(made.array[:, 0, 0, 0].tolist()) == [1, 3]
    assert sorted(text.split("/")[-1].split(":")[0] for text in made.skipped) == ["1.png", "3.png"]


def test_it_is_made_once_and_again_for_other_photographs_or_sizes(tmp_path, monkeypatch):
    found, cache = refs(tmp_path, [flat(1), flat(2)]), tmp_path / "cache"
    prepare_dataset(found, 16, folder=cache)
    monkeypatch.setattr(dataset, "decode", lambda _: pytest.fail("decoded again"))
    assert len(prepare_dataset(found[::-1], 16, folder=cache).array) == 2
    monkeypatch.undo()
    prepare_dataset(found, 17, folder=cache)
    prepare_dataset(found[:1], 16, folder=cache)
    assert len(list(cache.iterdir())) == 3


def test_what_a_killed_preparation_left_is_cleared_away_after_a_day(tmp_path):
    old, new = tmp_path / "cache/.making-old", tmp_path / "cache/.making-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    prepare_dataset(refs(tmp_path, [flat(1)]), 16, folder=tmp_path / "cache")
    assert not old.exists()
    assert new.exists()  # somebody else is at it


def test_no_picture_at_all_is_the_users_to_mend(tmp_path):
    with pytest.raises(InputError, match=r"none of 1 photographs is a picture.*0\.png"):
        prepare_dataset(refs(tmp_path, [b"nothing"]), 16, folder=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_photograph_that_changed_since_is_refused_and_nothing_is_left(tmp_path):
    found = refs(tmp_path, [flat(1), flat(2)])
    (tmp_path / "1.png").write_bytes(encode(flat(9), OutputFormat(), {}))
    with pytest.raises(InputError, match="has changed"):
        prepare_dataset(found, 16, folder=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
