"""A night of training: one faulty manifest costs itself, and what no retry can mend is not tried again."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from trainings import manifest, write_pictures

from flows.engine import InlineEngine
from flows.order.night import NightFailed, run_night
from tasks.root import open_root


@pytest.mark.slow
def test_a_manifest_that_cannot_be_parsed_is_tried_once_and_costs_itself_alone(tmp_path):
    write_pictures(tmp_path)
    root = tmp_path / "root"
    folder = root / "manifests/nightly"
    folder.mkdir(parents=True)
    (folder / "a-broken.yaml").write_text("kind: train\nname: [")
    (folder / "b-faulty.yaml").write_text(manifest(steps=3).replace("johnson", "jonson"))
    (folder / "tiny.yaml").write_text(manifest(steps=3))
    with InlineEngine() as engine, pytest.raises(NightFailed, match="2 of 3 manifests failed"):
        run_night(open_root(str(root)), "", str(tmp_path), ["cpu"], engine)
    assert len(pd.read_parquet(root / "catalog/models")) == 1
    (report,) = (root / "state/nights").iterdir()
    rows = json.loads(report.read_text())["manifests"]
    assert [(row["trained"], bool(row["error"]), row["may_pass"]) for row in rows] == [
        (0, True, False), (0, True, False), (1, False, False),
    ]  # fmt: skip
