"""Costs, durations as far as they are known, and the chunks of batches that follow from them."""

from __future__ import annotations

import pytest
from plans import cells_of, manifest

from nst.config import GatysConfig, InvertConfig, TextureConfig
from nst.planning.batches import make_plan
from nst.planning.chunks import chunks as chunks_of
from nst.planning.rates import LearnedRates


def test_the_estimate_comes_from_history_or_is_unknown():
    parsed = manifest("{seed: {count: 4}, precision: [float32, bfloat16]}")
    cells = cells_of(parsed, c=("cat",), s=("wave",))
    assert make_plan("x", cells).seconds is None
    half = {("gatys", "vgg19", "float32"): 1e-6}
    partly, each = make_plan("x", cells, history=half), GatysConfig(size=256).cost
    assert (partly.seconds, partly.unknown) == (pytest.approx(4 * each * 1e-6), 4)
    assert (make_plan("x", cells).unknown, partly.to_json()["cells_of_unknown_duration"]) == (8, 4)
    done = {cells.ids[n] for n in range(8) if cells.cell(n).config.precision == "bfloat16"}
    assert make_plan("x", cells, done, history=half).unknown == 0
    plan = make_plan("x", cells, history={**half, ("gatys", "vgg19", "bfloat16"): 5e-7})
    assert (plan.seconds, plan.unknown) == (pytest.approx(4 * each * 1.5e-6), 0)
    assert plan.cost == pytest.approx(8 * each)
    assert sum(batch.cost for batch in plan.batches()) == pytest.approx(plan.cost)


def test_chunks_are_about_as_long_as_asked():
    cells = cells_of(manifest("{seed: {count: 40}}"))
    each = GatysConfig(size=256).cost
    plan = make_plan("x", cells, history={("gatys", "vgg19", "float32"): 1 / each})  # a second per cell, 8 per batch
    chunks = list(chunks_of(plan, target_seconds=20))
    assert [len(chunk) for chunk in chunks] == [3] * 10
    assert [batch.batch_id for chunk in chunks for batch in chunk] == [batch.batch_id for batch in plan.batches()]


def test_chunks_grow_as_soon_as_the_rate_is_known_and_batches_stay_the_same():
    plan = make_plan("x", cells_of(manifest("{seed: {count: 40}}")))
    rates = LearnedRates({})
    chunks = chunks_of(plan, target_seconds=40, rates=rates)
    first = [next(chunks) for _ in range(3)]
    assert [len(chunk) for chunk in first] == [1, 1, 1]
    rates.learn(first[0][0], seconds=8.0, done=8)  # a second per cell
    rest = list(chunks)
    assert [len(chunk) for chunk in rest] == [5] * 5 + [2]
    assert [batch.batch_id for chunk in (*first, *rest) for batch in chunk] == [b.batch_id for b in plan.batches()]


def test_rates_of_a_running_sweep_replace_those_of_the_history_and_count_what_is_done():
    (batch,) = make_plan("x", cells_of(manifest("{seed: {count: 4}}"), c=("cat",), s=("wave",))).batches()
    key = ("gatys", "vgg19", "float32")
    rates = LearnedRates({key: 7.0})
    rates.learn(batch, seconds=3.0, done=0)
    rates.learn(batch, seconds=0.0, done=4)
    assert rates == {key: 7.0}
    rates.learn(batch, seconds=3.0, done=2)
    rates.learn(batch, seconds=9.0, done=4)
    assert rates == {key: pytest.approx(12.0 / (1.5 * batch.cost))}


def test_a_short_sweep_is_divided_among_all_devices():
    each = GatysConfig(size=256).cost
    history = {("gatys", "vgg19", "float32"): 0.1 / each}
    plan = make_plan("x", cells_of(manifest("{seed: {count: 40}}")), history=history)
    assert [len(chunk) for chunk in chunks_of(plan, target_seconds=40, least=lambda: 10)] == [3] * 10  # of 24 s


def test_chunks_become_shorter_where_little_is_left():
    each = GatysConfig(size=256).cost
    history = {("gatys", "vgg19", "float32"): 0.1 / each}  # 0.8 s a batch, 24 s in all
    plan = make_plan("x", cells_of(manifest("{seed: {count: 40}}")), history=history)
    taken = 0

    def batches():
        nonlocal taken
        for batch in plan.batches():
            taken += 1
            yield batch

    chunks = chunks_of(plan, batches=batches(), least=lambda: 5, left=lambda: 1 - taken / plan.batch_count)
    assert [len(chunk) for chunk in chunks] == [6, 5, 4, 3, 3, 2, 2, 1, 1, 1, 1, 1]


def test_what_is_not_known_yet_counts_as_the_slowest_that_is():
    """Of a short sweep whose second half was never seen, the known half is divided, too, and not taken at once."""
    each = GatysConfig(size=256).cost
    history = {("gatys", "vgg19", "float32"): 0.1 / each}  # 0.8 s a batch; as much again of the other precision
    cells = cells_of(manifest("{seed: {count: 40}, precision: [float32, bfloat16]}"), c=("cat",), s=("wave",))
    plan = make_plan("x", cells, history=history)
    assert [len(chunk) for chunk in chunks_of(plan, least=lambda: 5)] == [2, 2, 2, *[1] * 4]


@pytest.mark.parametrize("most", [1, 2, 7, 29, 1000])
def test_chunks_are_never_more_than_allowed(most):
    plan = make_plan("x", cells_of(manifest("{seed: {count: 40}}")))
    chunks = list(chunks_of(plan, max_chunks=most))
    assert len(chunks) <= most
    assert sum(len(chunk) for chunk in chunks) == plan.batch_count


def test_cost_is_pixels_times_steps_over_the_levels():
    one = GatysConfig(size=400, steps=10, pyramid={"levels": 1})
    assert one.pixels == 400 * 300
    assert one.cost == 400 * 300 * 10
    pyramid = GatysConfig(size=400, steps=10, pyramid={"levels": 3, "factor": 0.5, "first_steps": 100})
    assert pyramid.cost == 400 * 300 * 10 + 200 * 150 * 10 + 100 * 75 * 100
    assert GatysConfig(size=300, resize="short").pixels == 300 * 400


def test_the_cost_of_a_new_picture_is_its_own_size():
    assert TextureConfig(size=100, width=300).pixels == 30_000
    assert TextureConfig(size=100, steps=7).cost == 70_000
    assert InvertConfig(size=100, what="style").pixels == 10_000
    assert InvertConfig(size=100).pixels == 7_500
