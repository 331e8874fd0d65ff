"""A plan below the root is the whole plan: made again on another machine, it has the same jobs, or is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from orders import planned
from sweeps import TINY_MANIFEST, write_pictures
from trainings import write_manifest as write_training
from trainings import write_pictures as write_photographs

from flows.order.participation import Wanted, _leave_out, _open_orders, _Resting
from nst.errors import InputError, StorageError, UserError
from tasks.planning.plan_files import encoded, find_plan, open_plans, read_plans
from tasks.planning.registration import register_sweep
from tasks.planning.stored import prepare_stored, submit
from tasks.planning.uploading import uploaded
from tasks.removal import plan_removal, remove
from tasks.root import open_root
from tasks.samples import write_samples

MANIFESTS = sorted(path.name for path in (Path(__file__).parent.parent / "manifests").glob("*.yaml"))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder / "s")
    return folder / "s"


def jobs(prepared):
    if hasattr(prepared, "plan"):
        return [prepared.job(batch) for batch in prepared.plan.batches()]
    return [prepared.job(spec) for spec in prepared.specs]


def stored(prepared):
    submit(prepared)
    return find_plan(prepared.root.store, prepared.identity, prepared.scope)


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_stored_plan_has_the_same_jobs(samples, tmp_path, name):
    try:
        prepared = planned(samples / name, tmp_path / "out")
    except UserError as error:
        pytest.skip(str(error).splitlines()[0][-80:])  # it needs weights or photographs of its own
    again = prepare_stored(stored(prepared), prepared.root)
    assert jobs(again) == jobs(prepared)
    assert again.ids == prepared.ids


@pytest.fixture
def prepared(tmp_path):
    write_pictures(tmp_path)
    (tmp_path / "m.yaml").write_text(yaml.safe_dump({**TINY_MANIFEST, "contents": "[cd]*.png"}))
    return planned(tmp_path / "m.yaml", tmp_path / "out")


def test_files_that_come_later_make_no_other_sweep_of_it(prepared, tmp_path):
    found = stored(prepared)
    (tmp_path / "cow.png").write_bytes((tmp_path / "cat.png").read_bytes())
    (tmp_path / "m.yaml").unlink()
    assert prepare_stored(found, prepared.root).ids == prepared.ids


def test_what_had_failed_before_is_part_of_it(prepared):
    cell = prepared.ids[1]
    row = {"cell_id": cell, "attempt": 1, "error_class": "InputError", "error_message": "no picture"}
    prepared.root.catalog.commit("failures", prepared.identity, "one", [row])
    again = planned(prepared.source.uri, prepared.root.uri)
    found = stored(again)
    assert found.failed == {cell: 1}
    prepared.root.catalog.commit("failures", prepared.identity, "two", [{**row, "attempt": 2}])
    assert prepare_stored(found, prepared.root).failed == {cell: 1}


def test_other_cells_under_its_id_are_refused(prepared):
    """As another version of nst would make them."""
    found = stored(prepared)
    assert found.sweep
    changed = replace(found, sweep=replace(found.sweep, text=found.sweep.text.replace("30", "31")), nst_version="9.9")
    with pytest.raises(UserError, match=r"nst .* makes other cells of tiny than nst 9\.9"):
        prepare_stored(changed, prepared.root)


def test_a_plan_that_lacks_what_its_manifest_needs_is_refused(prepared):
    """As one that somebody edited, or that a version wrote whose manifests need less: no reason for a trace."""
    found = stored(prepared)
    with pytest.raises(UserError, match="makes other cells of tiny"):
        prepare_stored(replace(found, sweep=replace(found.sweep, weights=())), prepared.root)


def test_a_machine_without_an_input_is_told_which(prepared, tmp_path):
    found = stored(prepared)
    (tmp_path / "dog.png").unlink()
    with pytest.raises(InputError, match=r"this machine cannot take part: .*dog\.png does not exist"):
        prepare_stored(found, prepared.root)


def test_no_credential_lies_below_the_root(prepared):
    (content, *others) = prepared.resolved.contents
    link = replace(content, uri="https://host/cat.png", link="https://host/cat.png?signature=secret")
    submit(replace(prepared, resolved=replace(prepared.resolved, contents=(link, *others))))
    assert open_plans(prepared.root.store) == []
    weights = [
        (backbone, replace(found, uri="https://u:secret@host/w")) for backbone, found in prepared.weights.items()
    ]
    submit(replace(prepared, resolved=replace(prepared.resolved, weights=tuple(weights))))
    assert open_plans(prepared.root.store) == []


def test_what_is_damaged_huge_or_of_another_version_is_passed_over(prepared, monkeypatch):
    found = stored(prepared)
    monkeypatch.setattr("tasks.planning.plan_files._MOST_BYTES", 100_000)
    prepared.root.store.put("state/plans/huge.json", b" " * 100_000 + prepared.root.store.get(found.key))
    store = prepared.root.store
    whole = prepared.root.store.get(found.key)
    neither = json.dumps({**json.loads(whole), "sweep": None}).encode()
    prepared.root.store.put("state/plans/copy.json.bak", whole)
    for number, data in enumerate((b"", b"{", b"[]", json.dumps({"name": "x"}).encode(), b"\xff", neither)):
        store.put(f"state/plans/{number}.json", data)
    assert open_plans(store) == [found]


def test_what_cannot_be_read_is_named_with_what_is_wrong(prepared, monkeypatch):
    found, store = stored(prepared), prepared.root.store
    whole = store.get(found.key)
    newer = {"nst_version": "9.9", "of": "another form"}
    for name, data in {
        "cut": whole[:-20], "older": json.dumps({**json.loads(whole), "sweep": 7}).encode(), "other": whole,
        "newer": json.dumps(newer).encode(), "text": b"plan"
    }.items():  # fmt: skip
        store.put(f"state/plans/{name}.json", data)
    plans, unreadable = read_plans(store)
    assert plans == [found]
    assert {plan.name: plan.is_damaged for plan in unreadable} == {
        "cut": True, "newer": False, "older": True, "other": True, "text": True,
    }  # fmt: skip
    said = {plan.name: str(plan) for plan in unreadable}
    assert said["newer"].startswith("plan newer is of nst 9.9, and this is nst ")
    assert said["other"] == f"plan other is a copy of plan {prepared.identity} under another key"
    assert said["cut"].startswith("plan cut is damaged: ")


def test_a_plan_that_has_not_changed_is_fetched_once(prepared, monkeypatch):
    """Who stays and takes part looks every few seconds, and a plan may name a hundred thousand photographs."""
    found, store, fetched = stored(prepared), prepared.root.store, []
    get = store.get
    monkeypatch.setattr(store, "get", lambda key, **limits: (fetched.append(key), get(key, **limits))[1])
    store.put("state/plans/cut.json", b"{")
    for _ in range(3):
        assert open_plans(store) == [found]
    assert sorted(fetched) == sorted([found.key, "state/plans/cut.json"])
    fetched.clear()
    submit(prepared)
    (again,) = open_plans(store)
    assert again.submitted_at > found.submitted_at
    assert fetched == [found.key]
    store.delete(found.key)
    assert open_plans(store) == []
    store.put(found.key, encoded(found))
    assert open_plans(store) == [found]


def test_a_store_without_etags_is_read_again(prepared, monkeypatch):
    found, store = stored(prepared), prepared.root.store
    listed = store.list
    monkeypatch.setattr(store, "list", lambda prefix: [replace(stat, etag="") for stat in listed(prefix)])
    assert open_plans(store) == [found]
    changed = replace(found, failed={"x": 1})
    store.put(found.key, encoded(changed))
    assert open_plans(store) == [changed]


def test_a_sweep_that_is_removed_is_not_open_any_more(prepared):
    stored(prepared)
    register_sweep(prepared)
    remove(prepared.root, plan_removal(prepared.root, prepared.identity, prepared.name))
    assert open_plans(prepared.root.store) == []


def test_a_bucket_may_name_no_file_of_this_machine(tmp_path, s3):
    """But those below the folder that whoever takes part names."""
    write_pictures(tmp_path)
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(TINY_MANIFEST))
    prepared = planned(tmp_path / "m.yaml", s3.root("root"))
    found = stored(prepared)
    with pytest.raises(InputError, match="pass --inputs"):
        prepare_stored(found, prepared.root)
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="pass --inputs"):
        prepare_stored(found, prepared.root, str(tmp_path / "other"))
    assert jobs(prepare_stored(found, prepared.root, str(tmp_path))) == jobs(prepared)


@pytest.mark.parametrize("spelled", ["{}", "file:{}", "FILE://{}", "file://localhost{}", "file:///x/..{}"])
@pytest.mark.parametrize("name", ["uri", "link"])
def test_no_spelling_leads_a_bucket_to_a_file_of_this_machine(prepared, tmp_path, s3, name, spelled):
    found = stored(prepared)
    named = replace(
        found.sweep.contents[0], **{"uri": "https://host/cat.png", name: spelled.format(tmp_path / "cat.png")}
    )
    hostile = replace(found, sweep=replace(found.sweep, contents=(named,), styles=()))
    with pytest.raises(InputError, match="is a local file, and the manifest came from elsewhere"):
        prepare_stored(hostile, open_root(s3.root("root")))


def test_each_machine_has_the_weights_of_its_own_package(tmp_path, s3):
    write_pictures(tmp_path)
    method = {**TINY_MANIFEST["method"], "backbone": {"weights": "embedded"}}
    (tmp_path / "m.yaml").write_text(yaml.safe_dump({**TINY_MANIFEST, "method": method}))
    prepared, copied = uploaded(planned(tmp_path / "m.yaml", s3.root("root")))
    assert copied == 3
    assert prepare_stored(stored(prepared), prepared.root).ids == prepared.ids


@pytest.mark.parametrize("error", [StorageError("HTTP 503"), UserError("no connection")])
def test_a_site_that_does_not_answer_holds_up_one_plan_alone(prepared, monkeypatch, error):
    """Whoever takes part passes over what this machine cannot do, and does the others."""

    def fail(uri):
        raise error

    monkeypatch.setattr("tasks.planning.stored.stat_uri", fail)
    with pytest.raises(InputError, match=f"this machine cannot take part: {error}"):
        prepare_stored(stored(prepared), prepared.root)


def test_who_stays_looks_again_where_the_store_does_not_answer(prepared, monkeypatch):
    def fail(*_):
        raise StorageError("HTTP 503")

    stored(prepared)
    monkeypatch.setattr("flows.order.participation.prepare_stored", fail)
    said = []

    def look(**options):
        wanted = Wanted(prepared.root, ("cpu",), **options)
        leave_out = partial(_leave_out, wanted, SimpleNamespace(left_out=lambda *told: said.append(told)))
        return list(_open_orders(wanted, _Resting(), leave_out, has_looked=True))

    assert look(stay=True) == []
    ((name, error),) = said
    assert (name, str(error)) == ("tiny", "HTTP 503")
    with pytest.raises(StorageError):
        look()


def test_a_training_is_stored_with_its_photographs_and_its_parent(tmp_path):
    write_photographs(tmp_path)
    prepared = planned(write_training(tmp_path), tmp_path / "out")
    (tmp_path / "photographs" / "later.png").write_bytes((tmp_path / "photographs" / "1.png").read_bytes())
    again = prepare_stored(stored(prepared), open_root(str(tmp_path / "out")))
    assert jobs(again) == jobs(prepared)
    assert len(again.resolved.photographs) == 24


@pytest.mark.parametrize("digest", ["", "0", "abcdef"])
def test_a_plan_without_digests_reads_no_file(prepared, digest):
    plan = stored(prepared)
    first, *others = plan.sweep.contents
    edited = replace(plan, sweep=replace(plan.sweep, contents=(replace(first, digest=digest), *others)))
    with pytest.raises(InputError, match="the plan does not say which file "):
        prepare_stored(edited, prepared.root)
