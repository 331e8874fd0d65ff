"""What the store accepted and lost is counted at the end of a run, is said, and runs again."""

from __future__ import annotations

import numpy as np
import pytest

from flows.here import run_inline
from flows.order.request import Request, order_of
from nst.errors import UserError
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.root import open_root

pytestmark = pytest.mark.process

MANIFEST = """\
name: small
contents: [a.png, b.png]
styles: [a.png, b.png]
method: {name: gatys, size: 24, steps: 1, backbone: {name: vgg16, weights: random}}
batch_size: 1
"""


@pytest.fixture
def manifest(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), np.uint8)
        (tmp_path / f"{name}.png").write_bytes(encode(pixels, OutputFormat(), {}))
    (tmp_path / "small.yaml").write_text(MANIFEST)
    return tmp_path / "small.yaml"


def ran(manifest, root, watcher):
    """Run the sweep in this process and return its summary; the watcher is called after each batch."""
    order = order_of(Request(str(manifest), open_root(str(root)), "", ("cpu",)))
    return run_inline(order, watcher, lambda *_: None, lambda _: None)


def test_rows_that_vanish_from_the_store_are_said_and_run_again(manifest, tmp_path):
    root = tmp_path / "out"

    def lose(done, total, text):
        """Lose the first batch's record after the store has accepted it; the second may be there by now."""
        if done == 1:
            min((root / "state/results/wal").rglob("*.json"), key=lambda file: file.stat().st_mtime_ns).unlink()

    summary = ran(manifest, root, lose)
    assert summary.done == 4
    assert summary.lost == 1
    assert summary.exit_code == 1
    text = "\n".join(summary.lines("out"))
    assert "1 of 4 done cells are not in the catalog" in text
    assert "nst fsck" in text
    again = ran(manifest, root, lambda *_: None)
    assert (again.done_before, again.done, again.lost, again.exit_code) == (3, 1, 0, 0)


def test_a_root_that_is_deleted_in_the_middle_is_said(manifest, tmp_path):
    root = tmp_path / "out"

    def delete(done, total, text):
        if done == 2:
            root.rename(tmp_path / "deleted")  # in one step, whatever the worker writes at that moment

    with pytest.raises(UserError, match="is gone"):
        ran(manifest, root, delete)
    assert not root.exists(), "rows in another root of that name would be taken for all of them"
