"""What the catalog promises under crashes, lost answers and late requests, and proof that the simulator notices."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter

import pytest
import simulator

from tasks.catalog import Catalog, compact, heal, layout, ledger, publish, read, records

BLOCK = 50
SEEDS = 2000 if "NST_SEED" in os.environ else 200
"""How many simulations there are: more of them in `make proof`."""


@pytest.mark.parametrize("start", range(0, SEEDS, BLOCK))
def test_no_promise_is_broken(start: int) -> None:
    stats: Counter[str] = Counter()
    for seed in range(start, start + BLOCK):
        faults, world = simulator.run(seed)
        stats += world.stats
        assert not faults
    assert (
        min(stats[fault] for fault in ("crash before", "crash after", "crash, request lands late", "lost answer")) > 9
    )
    assert stats["reads"] > 20 * BLOCK


def test_publishers_that_take_turns_need_no_create_only_writes() -> None:
    claimed: set[str] = set()
    for seed in range(30):
        faults, world = simulator.run(seed, create_only=False, single_publisher=True)
        claimed |= {json.loads(data)["op"] for key, data in world.objects.items() if "/log/" in key}
        assert not faults
    assert claimed == {"add", "compact", "drop"}


def test_a_seed_decides_everything() -> None:
    first, second = simulator.run(7)[1], simulator.run(7)[1]
    assert first.objects == second.objects
    assert (first.ops, first.stats) == (second.ops, second.stats)


def first_fault(seeds: int = 150, **how) -> str | None:
    for seed in range(seeds):
        if faults := simulator.run(seed, **how)[0]:
            return faults[0]
    return None


def test_a_store_that_ignores_create_only_is_found_out() -> None:
    assert first_fault(create_only=False)


class ReusedNumbers(Catalog):
    """The first prototype: no log; a new file's number is one more than the largest that is there now."""

    def publish(self, table: str) -> int:
        at = self.ledger(table)
        for _ in range(30):
            files, done = self._files(table)
            waiting = at.pending()
            rows = [r for n in waiting for r in records.decode(at.table, n, at.store.get(layout.record(table, n))).rows]
            new = {f"{r['cell_id']}/{r.get('step')}": r for r in rows if r["cell_id"] not in done}
            if not new:
                return 0
            number = 1 + max((int(f.rsplit("-", 1)[1][:6]) for f in files if "/seg-" in f), default=0)
            at.store.put(
                self._name(table, f"seg-{number:06d}"), at.codec.write(at.table, list(new.values())), create=True
            )
        return 0

    def compact(self, table: str, **policy) -> int:
        at = self.ledger(table)
        files = self._files(table)[0]
        if len(files) > 1:
            name = hashlib.sha256("".join(files).encode()).hexdigest()[:12]
            intent = json.dumps({"in": files, "out": self._name(table, f"compact-{name}")}).encode()
            at.store.put(f"{layout.claims(table)}{name}", intent, create=True)
        for stat in at.store.list(layout.claims(table)):
            with contextlib.suppress(FileNotFoundError):
                self._carry_out(at, stat.key)
        return 0

    def _carry_out(self, at: ledger.Ledger, key: str) -> None:
        intent = json.loads(at.store.get(key))
        if at.store.head(intent["out"]) is None:
            merged = at.codec.merge(at.table, [at.store.get(file) for file in intent["in"]])
            at.store.put(intent["out"], merged, create=True)
        for file in [*intent["in"], key]:
            at.store.delete(file)

    def gc(self, table: str, **policy) -> int:
        return 0

    def drop(self, table: str, column: str, values) -> int:
        return 0

    def snapshot(self, table: str, parse, *, live: bool = True):
        at = self.ledger(table)
        for _ in range(30):
            try:
                waiting = at.pending() if live else []
                files, done = self._files(table)
                rows = [
                    r for n in waiting for r in records.decode(at.table, n, at.store.get(layout.record(table, n))).rows
                ]
                fresh = {f"{r['cell_id']}/{r.get('step')}": r for r in rows if r["cell_id"] not in done}
                found = [row for f in files for row in parse(at.store.get(f))]
            except FileNotFoundError:
                continue
            return [list({f"{r['cell_id']}/{r.get('step')}": r for r in found}.values())], list(fresh.values())
        return [], []

    def keys(self, table: str, column: str = "cell_id", *, live: bool = True) -> set[str]:
        files, fresh = self.snapshot(table, json.loads, live=live)
        return {row[column] for row in [*files[0], *fresh]} if files else set()

    def _files(self, table: str) -> tuple[list[str], set[str]]:
        at = self.ledger(table)
        while True:
            files = [stat.key for stat in at.store.list(layout.files(table))]
            try:
                return files, {row["cell_id"] for f in files for row in json.loads(at.store.get(f))}
            except FileNotFoundError:
                continue

    def _name(self, table: str, stem: str) -> str:
        return f"{layout.files(table)}month=2026-11/{stem}.json"


def test_the_first_prototype_is_found_out() -> None:
    """A publisher that slept puts a removed file back under its old number: its rows are there twice for good."""
    twice = "the final plain read read rows twice"
    assert any(twice in fault for seed in range(100) for fault in simulator.run(seed, ReusedNumbers)[0])


def test_clearing_the_log_away_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tempting economy: claims below a checkpoint are not needed to read, but they keep numbers from being reused."""
    save = ledger.Ledger.checkpoint

    def save_and_clear(self: ledger.Ledger) -> None:
        save(self)
        self.delete(layout.claim(self.table.name, number) for number in range(self.state.number))

    monkeypatch.setattr(ledger.Ledger, "checkpoint", save_and_clear)
    assert first_fault()


def test_not_leaving_out_published_keys_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_takes", lambda *_: True)
    assert any("twice" in fault for seed in range(100) for fault in simulator.run(seed)[0])


def test_folding_the_log_before_listing_the_records_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong_order(at: ledger.Ledger, *, live: bool):
        at.sync()
        at.sleep(1.0)  # so that what may happen in between does
        return at.readable(at.state.new(at.pending() if live else []))

    monkeypatch.setattr(read, "_unpublished", wrong_order)
    assert "missed" in str(first_fault())


def test_removing_inputs_before_the_merged_file_is_there_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = heal.heal

    def delete_first(at: ledger.Ledger, *arguments, **options) -> None:
        at.delete(sorted(at.state.dead))
        right(at, *arguments, **options)

    monkeypatch.setattr("tasks.catalog.publish.heal", delete_first)
    monkeypatch.setattr("tasks.catalog.compact.heal", delete_first)
    assert first_fault()


def test_publishers_clear_records_away_and_merge_files_as_they_publish(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else does so here, and what they promise holds."""
    monkeypatch.setattr(Catalog, "gc", lambda *_, **__: 0)
    monkeypatch.setattr(Catalog, "compact", lambda *_, **__: 0)
    merged = 0
    for seed in range(0, 60, 3):  # the seeds whose publishers keep no record
        _, world = simulator.run(seed)
        assert not [key for key in world.objects if "/wal/" in key]
        merged += sum(json.loads(data)["op"] == "compact" for key, data in world.objects.items() if "/log/" in key)
    assert merged > 20


def test_clearing_a_record_before_its_file_is_in_place_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    append = ledger.Ledger.append

    def append_and_clear(self: ledger.Ledger, claim) -> bool:
        done = append(self, claim)
        self.delete(layout.record(self.table.name, name) for name, _ in claim.records if done)
        return done

    monkeypatch.setattr(ledger.Ledger, "append", append_and_clear)
    assert first_fault()


def test_clearing_what_was_listed_without_asking_the_log_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def clear_all(at: ledger.Ledger, names, **_) -> int:
        at.delete(layout.record(at.table.name, name) for name in at.pending())
        return len(names)

    monkeypatch.setattr(publish, "clear", clear_all)
    assert first_fault()


def test_writing_a_file_that_was_made_for_a_claim_that_another_process_won_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A merged file is made before it is claimed; it must not be written under somebody else's claim of that number."""
    made: dict[int, bytes] = {}

    def build(at: ledger.Ledger, claim) -> bytes:
        made[claim.number] = heal.build(at, claim)
        return made[claim.number]

    monkeypatch.setattr(compact, "build", build)
    monkeypatch.setattr(compact, "heal", lambda at, *, force=False, **_: heal.heal(at, made=made, force=force))
    assert first_fault()
