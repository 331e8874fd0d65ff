"""How sweeps share the workers of a pool: parts, asked of a real Prefect server. Workers are heartbeats alone.

And what becomes of a sweep that has lost all of its parts.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import yaml
from sweeps import TINY_MANIFEST, write_pictures
from warm_prefect import warm_servers

from flows.order.adoption import FIRST_PAUSE_S, LONG_S, MOST, Adoption
from flows.order.request import Request, order_of
from flows.order.submission import submit_order
from tasks.planning.plan_files import open_ids
from tasks.prefect.parts import Parts, cancel_parts, close_gone, hand_over, has_parts
from tasks.prefect.pool import Whole
from tasks.prefect.provisioning import prepare_pool
from tasks.root import open_root
from tasks.work.stylize import Stylist

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory, migrated_state):
    """A client of a server with the pool and the deployment of sweeps."""
    from prefect import flow
    from prefect.client.orchestration import get_client

    from tasks.prefect.server import private_server, starting_server

    @flow(name="sweep")
    async def sweep(plan: str, root: str) -> None:
        """Stand for the flow of sweeps, which no worker runs here."""

    state = shutil.copytree(migrated_state, tmp_path_factory.mktemp("parts") / "state")
    with ExitStack() as stack:
        with warm_servers():
            starting = stack.enter_context(starting_server(state / "nst/prefect"))
        stack.enter_context(private_server(starting))
        prepare_pool(heartbeat_s=30)
        prepare_pool(heartbeat_s=30)  # what is there stays
        client = stack.enter_context(get_client(sync_client=True))
        client.create_deployment(
            client.create_flow(sweep), "sweep", work_pool_name="nst", entrypoint="flows.sweep.sweep"
        )
        yield client


@pytest.fixture
def pool(client):
    """A pool without runs and with four workers."""
    for number in range(4):
        client.send_worker_heartbeat("nst", f"worker-{number}", heartbeat_interval_seconds=600)
    yield client
    for run in client.read_flow_runs(limit=200):
        client.delete_flow_run(run.id)


def whole(name, root="memory://root"):
    return Whole("sweep", name, f"{name}-id", root)


def run(pool, sweep, submitted="once", priority=5):
    """Hand a sweep over, and be the worker that begins its part; return the run."""
    hand_over(sweep, submitted, priority)
    return begin(pool, waiting(pool, sweep)[0])


def begin(pool, part):
    from prefect.states import Pending, Running

    pool.set_flow_run_state(part.id, Pending(), force=True)
    pool.set_flow_run_state(part.id, Running(), force=True)
    return pool.read_flow_run(part.id)


def states(pool, sweep):
    return sorted(each.state_type.value for each in pool.read_flow_runs(limit=200) if sweep.tag in each.tags)


def waiting(pool, sweep):
    runs = [each for each in pool.read_flow_runs(limit=200) if sweep.tag in each.tags]
    return [each for each in runs if each.state_type.value == "SCHEDULED"]


def look(sweep, part, *, had_its_time=False, **settings):
    """Let a part look at the pool once; return whether it is to leave."""
    parts = Parts(sweep, part, **settings)
    with parts._client:
        if had_its_time:
            parts._began = time.monotonic() - 1e6
        parts._look()
    return parts.is_enough()


def test_a_sweep_alone_has_a_part_for_each_worker_and_only_the_oldest_makes_them(pool):
    only = whole("only")
    oldest = run(pool, only)
    assert not look(only, oldest)
    assert len(states(pool, only)) == 4
    second = begin(pool, waiting(pool, only)[0])
    pool.delete_flow_run(waiting(pool, only)[0].id)
    assert not look(only, second)
    assert states(pool, only) == ["RUNNING", "RUNNING", "SCHEDULED"]
    assert not look(only, oldest)
    assert states(pool, only) == ["RUNNING", "RUNNING", "SCHEDULED", "SCHEDULED"]


def test_no_worker_is_taken_for_more_than_there_is_to_do(pool):
    """A newcomer saw a worker wait for a training of one model, while cells of a sweep waited for the worker."""
    training = whole("training")
    part = run(pool, training)
    assert not look(training, part, most=1)
    assert states(pool, training) == ["RUNNING"]
    assert not look(training, part, most=3)
    assert len(states(pool, training)) == 3


def test_two_sweeps_of_one_priority_are_due_half_of_the_workers(pool):
    first, second = whole("first"), whole("second")
    parts = [run(pool, first), run(pool, second)]
    for sweep, part in zip((first, second), parts, strict=True):
        assert not look(sweep, part)
    assert len(states(pool, first)) == len(states(pool, second)) == 2


@pytest.mark.parametrize(
    ("kind", "limit", "places"), [("process", 2, 4), ("kubernetes", 7, 7), ("kubernetes", None, 4)]
)
def test_a_sweep_has_a_part_for_each_place_of_the_pool(pool, monkeypatch, kind, limit, places):
    """A worker of Kubernetes starts as many jobs as the pool's limit lets it, one of processes does one part."""
    there = pool.read_work_pool("nst").model_copy(update={"type": kind, "concurrency_limit": limit})
    monkeypatch.setattr(type(pool), "read_work_pool", lambda *_: there)
    only = whole("only")
    look(only, run(pool, only))
    assert len(states(pool, only)) == places


def test_to_submit_twice_makes_one_part_and_what_has_crashed_is_made_anew(pool):
    from prefect.states import Crashed

    sweep = whole("again")
    names = {hand_over(sweep, "once").name for _ in range(3)}
    assert names == {"again again-id part 1"}
    (part,) = waiting(pool, sweep)
    pool.set_flow_run_state(part.id, Crashed(), force=True)
    assert not has_parts(sweep.identity, sweep.root)
    assert hand_over(sweep, "once").name == "again again-id part 2"
    assert has_parts(sweep.identity, sweep.root)


def test_a_part_leaves_for_a_higher_priority_at_once_and_for_its_own_after_its_time(pool):
    mine, urgent, equal, later = (whole(name) for name in ("mine", "urgent", "equal", "later"))
    part = run(pool, mine)
    hand_over(later, "once", 7)
    assert not look(mine, part, had_its_time=True)
    hand_over(equal, "once", 5)
    assert not look(mine, part)
    assert look(mine, part, had_its_time=True)
    cancel_parts(equal.identity, equal.root)
    hand_over(urgent, "once", 2)
    for other in waiting(pool, mine):
        pool.delete_flow_run(other.id)
    assert look(mine, part)
    assert len(waiting(pool, mine)) == 1, "its place is kept: another part of it waits"


def test_no_more_parts_leave_than_wait(pool):
    mine, urgent = whole("mine"), whole("urgent")
    oldest = run(pool, mine)
    look(mine, oldest)
    youngest = begin(pool, waiting(pool, mine)[0])
    hand_over(urgent, "once", 1)
    assert not look(mine, oldest)
    assert look(mine, youngest)


def test_the_same_sweep_below_another_root_is_another_one(pool):
    here, there = whole("same"), whole("same", "memory://other")
    hand_over(here, "once")
    assert not has_parts(there.identity, there.root)
    hand_over(there, "once")
    assert cancel_parts(there.identity, there.root) == 1
    assert states(pool, here) == ["SCHEDULED"]
    assert states(pool, there) == ["CANCELLED"]


def test_parts_whose_processes_are_gone_are_closed_and_no_others(pool, monkeypatch):
    from tasks.processes import Process

    here, gone = whole("here"), whole("gone")
    for sweep, process in ((here, None), (gone, Process("", 2**22 - 1, "5"))):
        with monkeypatch.context() as patch:
            if process:
                patch.setattr("tasks.prefect.parts.this_process", lambda: process)  # noqa: B023  used in this turn
            with Parts(sweep, run(pool, sweep)):
                pass
    assert close_gone() == 1
    assert "CRASHED" in states(pool, gone)
    assert "CRASHED" not in states(pool, here)


def test_a_server_that_is_away_is_one_error_and_a_bug_is_none_of_it(pool, monkeypatch):
    from nst.errors import TransientError

    sweep = whole("away")
    with pytest.raises(TransientError, match="does not do what it is asked"):
        hand_over(Whole("nosuch", sweep.name, sweep.identity, sweep.root), "once")
    monkeypatch.setattr("tasks.prefect.pool.queue_of", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        hand_over(sweep, "once")


@pytest.fixture
def order(tmp_path):
    """A sweep that is submitted and not handed over."""
    write_pictures(tmp_path)
    (tmp_path / "m.yaml").write_text(yaml.safe_dump({**TINY_MANIFEST, "batch_size": 1}))
    order = order_of(Request(str(tmp_path / "m.yaml"), open_root(str(tmp_path / "out"), probed=True)))
    submit_order(order)
    return order


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("flows.order.adoption.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def lose(pool, sweep):
    """Be the worker that begins the part that waits, and that dies with it."""
    from prefect.states import Crashed

    part = begin(pool, waiting(pool, sweep)[0])
    pool.set_flow_run_state(part.id, Crashed(), force=True)
    return part


def test_what_has_lost_all_of_its_parts_is_handed_over_again_and_not_for_ever(pool, order, clock):
    sweep = Whole("sweep", "tiny", order.prepared.identity, order.prepared.root.uri)
    adoption = Adoption(order.prepared.root)
    assert adoption.look() == [], "nobody handed it over: nst work does it"
    hand_over(sweep, "once", 3)
    assert adoption.look() == [], "its part waits"
    lose(pool, sweep)
    for times in range(MOST):
        assert adoption.look() == ["tiny had lost all of its parts, and is handed to the workers again"]
        assert waiting(pool, sweep)[0].work_queue_name == "priority-3"
        assert adoption.look() == []
        lose(pool, sweep)
        assert adoption.look() == [], "it has a pause"
        clock.now += FIRST_PAUSE_S * 2**times - 1
        assert adoption.look() == [], "which is longer each time"
        clock.now += 1
    assert "tiny is left alone" in adoption.look()[0]
    clock.now += 1e9
    assert adoption.look() == []
    hand_over(sweep, "by somebody", 3)
    lose(pool, sweep)
    assert len(adoption.look()) == 1, "who hands it over again has all of its tries again"


@pytest.mark.proof
def test_what_comes_to_something_is_handed_over_without_end(pool, order, clock, monkeypatch):
    sweep = Whole("sweep", "tiny", order.prepared.identity, order.prepared.root.uri)
    adoption, stylist = Adoption(order.prepared.root), Stylist(order.prepared.root, "cpu")
    batches = list(order.prepared.plan.batches())
    hand_over(sweep, "once")

    def lost_again(times):
        for _ in range(times):
            lose(pool, sweep)
            clock.now += 1e6
            assert "handed to the workers again" in adoption.look()[0]

    lost_again(MOST)
    stylist.run(order.prepared.job(batches[0]))
    lost_again(MOST)
    monkeypatch.setattr("flows.order.adoption.LONG_S", -1.0)  # every part has lasted
    lost_again(MOST + 1)
    assert LONG_S > 0


def test_a_part_that_is_cancelled_on_the_page_withdraws_the_sweep_once(pool, order):
    """Its other part would go on, and one that is adopted would come back: the user meant neither."""
    from prefect.states import Cancelled

    sweep = Whole("sweep", "tiny", order.prepared.identity, order.prepared.root.uri)
    store, adoption = order.prepared.root.store, Adoption(order.prepared.root)
    part = run(pool, sweep)
    look(sweep, part)
    pool.set_flow_run_state(waiting(pool, sweep)[0].id, Cancelled(), force=True)
    (line,) = adoption.look()
    assert "cancelled on Prefect's page" in line
    assert not open_ids(store)
    assert "RUNNING" not in states(pool, sweep)
    submit_order(order)
    hand_over(sweep, "again")
    assert adoption.look() == []
    assert open_ids(store)
    assert len(waiting(pool, sweep)) == 1


def test_a_part_that_never_began_is_lost(pool, order, monkeypatch):
    from prefect.states import Pending

    sweep = Whole("sweep", "tiny", order.prepared.identity, order.prepared.root.uri)
    adoption = Adoption(order.prepared.root)
    hand_over(sweep, "once")
    (part,) = waiting(pool, sweep)
    pool.set_flow_run_state(part.id, Pending(), force=True)
    assert adoption.look() == []
    monkeypatch.setattr("tasks.prefect.pool.BEGINS_WITHIN_S", 0.0)
    assert len(adoption.look()) == 1
