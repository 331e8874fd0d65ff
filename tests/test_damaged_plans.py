"""A stored plan that cannot be read is named wherever somebody looks, and removed where no version could read it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from nst.errors import UserError
from tasks.fsck.check import fsck
from tasks.fsck.repair import plan_repair, repair
from tasks.heartbeat import beating
from tasks.root import Root, open_root

DAMAGED = {"aaaa1111": b'{"name": "cut', "cccc3333-0123": b"\xff"}
NEWER = json.dumps({"nst_version": "99.0", "name": 7}).encode()


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: object) -> Root:
    """A root with two damaged plans and one of another version."""
    uri = str(tmp_path) if request.param == "local" else request.getfixturevalue("s3").root("root")
    root = open_root(uri)
    for name, data in {**DAMAGED, "bbbb2222": NEWER}.items():
        root.store.put(f"state/plans/{name}.json", data)
    return root


def plans(root: Root) -> list[str]:
    return [stat.key for stat in root.store.list("state/plans/")]


def test_fsck_reports_damaged_plans_and_notes_those_of_other_versions(root: Root) -> None:
    report = fsck(root)
    assert [finding.where for finding in report.problems] == [f"state/plans/{name}.json" for name in DAMAGED]
    assert all(finding.what.startswith("plan is damaged: ") for finding in report.problems)
    (note,) = report.notes
    assert note.startswith("state/plans/bbbb2222.json: plan is of nst 99.0, and this is nst ")
    assert report.counts["plans"] == 3


def test_repair_shows_damaged_plans_first_and_removes_them_alone_with_yes(root: Root) -> None:
    nst = CliRunner()
    before = plans(root)
    shown = nst.invoke(app, ["repair", "--root", root.uri]).output
    assert "2 stored plans that no version of nst can read" in shown
    assert "aaaa1111 is damaged" in shown
    assert "cccc3333 is damaged" in shown
    assert "bbbb2222" not in shown
    assert "pass --yes" in shown
    assert plans(root) == before
    done = nst.invoke(app, ["repair", "--yes", "--root", root.uri])
    assert done.exit_code == 0, done.output
    assert "removed 2 plans; submit their manifests anew" in done.output
    assert plans(root) == ["state/plans/bbbb2222.json"]
    assert "nothing to repair" in nst.invoke(app, ["repair", "--root", root.uri]).output
    assert fsck(root).ok


def test_no_plan_is_removed_while_somebody_takes_part(root: Root) -> None:
    planned = plan_repair(root)
    assert len(planned.plans) == 2
    with beating(root.store, "dddd4444"), pytest.raises(UserError, match="dddd4444 is running"):
        repair(root, planned)
    assert len(plans(root)) == 3


def test_a_plan_that_was_submitted_anew_meanwhile_stays(root: Root) -> None:
    planned = plan_repair(root)
    root.store.put("state/plans/aaaa1111.json", NEWER)
    repair(root, planned)
    assert plans(root) == ["state/plans/aaaa1111.json", "state/plans/bbbb2222.json"]
