from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import cells_of, contents, image, manifest, styles

from nst.config import GatysConfig
from nst.errors import UserError
from nst.identity import address, cell_id
from nst.manifest.sweep import parse_manifest
from nst.planning.batches import make_plan
from nst.planning.cells import expand
from nst.planning.chunks import chunks
from nst.records import ImageRef


def version_of(cells, number):
    return cells.structure_config(cells.structure(number)).version


def test_cells_are_contents_times_styles_times_variants_in_that_order():
    parsed = manifest("{style_weight: [1, 10], seed: {count: 2}}")
    cells = cells_of(parsed)
    assert len(cells) == 2 * 3 * 4
    places = [
        (cells.cell(i).content.name, cells.cell(i).style.name, *cells.values(i).values()) for i in range(len(cells))
    ]
    expected = [
        (c, s, weight, seed)
        for c in ("cat", "dog") for s in ("wave", "swan", "iris") for weight in (1, 10) for seed in (0, 1)
    ]  # fmt: skip
    assert places == expected


def test_ids_and_addresses_are_those_of_each_cell_alone():
    parsed = manifest("{style_weight: [1, 10], preset: [gatys, pytorch], optimizer: [lbfgs, adam]}")
    cells = cells_of(parsed)
    for number in range(len(cells)):
        cell = cells.cell(number)
        assert cell.cell_id == cells.ids[number]
        assert cell.cell_id == cell_id(cell.config, cell.content, cell.style, "w", cell.output)
        assert cells.addresses()(number) == address(cell)


def test_rules_leave_out_cells_by_content_style_and_value():
    parsed = manifest(
        "{seed: {count: 3}, exclude: [{seed: 0}, {content: c*, style: wave, seed: [1]}, {style: [iris]}]}"
    )
    cells = cells_of(parsed)
    left = {
        (cells.cell(i).content.name, cells.cell(i).style.name, cells.cell(i).config.seed) for i in range(len(cells))
    }
    assert left == {("cat", "wave", 2), ("cat", "swan", 1), ("cat", "swan", 2), ("dog", "wave", 1), ("dog", "wave", 2),
                    ("dog", "swan", 1), ("dog", "swan", 2)}  # fmt: skip
    assert cells.excluded == 18 - 7


def test_equal_cells_are_one():
    parsed = manifest("{backbone.seed: [1, 2], trace_every: [0, 5]}")
    cells = cells_of(parsed, c=("cat",), s=("wave",))
    assert (len(cells), cells.merged) == (1, 3)
    same = [image("cat"), ImageRef("copy", "copy.jpg", image("cat").digest)]
    twice = expand(
        manifest(),
        same,
        styles("wave"),
        dict.fromkeys(parsed.backbones(), "w") | dict.fromkeys(manifest().backbones(), "w"),
    )
    assert (len(twice), twice.merged) == (1, 1)
    assert twice.cell(0).content.name == "cat"


def test_an_excluded_cell_does_not_stand_for_its_equal():
    same = [image("cat"), ImageRef("copy", "copy.jpg", image("cat").digest)]
    parsed = manifest("{exclude: [{content: cat}]}")
    cells = expand(parsed, same, styles("wave"), dict.fromkeys(parsed.backbones(), "w"))
    assert [cells.cell(i).content.name for i in range(len(cells))] == ["copy"]


def test_nothing_to_multiply_is_an_error():
    parsed = manifest()
    with pytest.raises(UserError, match="0 contents"):
        expand(parsed, [], styles("a"), dict.fromkeys(parsed.backbones(), "w"))


def test_the_budget_counts_cells_after_exclusions():
    rules = "exclude: [{seed: [1, 2, 3, 4, 5]}]"
    assert len(cells_of(manifest(f"{{seed: {{count: 6}}, {rules}}}", extra="budget: {cells: 6}"))) == 6
    with pytest.raises(UserError, match=r"has 36 cells .* but its budget is 35"):
        cells_of(manifest("{seed: {count: 6}}", extra="budget: {cells: 35}"))


def test_batches_share_content_and_structure():
    parsed = manifest(
        "{style_weight: [1, 10], size: [128, 256], backbone.pooling: [max, average]}", extra="batch_size: 4"
    )
    plan = make_plan("x", cells_of(parsed))
    batches = list(plan.batches())
    assert Counter(cell.cell_id for batch in batches for cell in batch.cells) == Counter(plan.cells.ids)
    for batch in batches:
        assert len({cell.content.name for cell in batch.cells}) == 1
        assert len({(cell.config.size, cell.config.backbone) for cell in batch.cells}) == 1
        assert len(batch.cells) <= 4
    assert len(batches) == 2 * 2 * 2 * 2  # contents x sizes x poolings x (3 styles x 2 weights in fours)
    assert len({batch.batch_id for batch in batches}) == len(batches)


def test_a_style_stays_together_in_its_batches():
    plan = make_plan("x", cells_of(manifest("{style_weight: [1, 2, 3, 4]}", extra="batch_size: 4")))
    assert all(len({cell.style.name for cell in batch.cells}) == 1 for batch in plan.batches())


@pytest.mark.parametrize(("size", "expected"), [(64, 8), (256, 8), (362, 8), (512, 4), (724, 2), (1024, 1), (4096, 1)])
def test_the_default_batch_is_about_a_million_pixels(size, expected):
    plan = make_plan(
        "x",
        cells_of(
            manifest("{seed: {count: 20}}", f"{{name: gatys, size: {size}, noise: 0.1}}"), c=("cat",), s=("wave",)
        ),
    )
    assert max(len(batch.cells) for batch in plan.batches()) == expected


@pytest.mark.slow
@given(st.sets(st.integers(0, 47)), st.integers(1, 9))
def test_what_is_done_is_dropped_from_batches_and_never_regroups_them(numbers, size):
    parsed = manifest("{seed: {count: 8}}", extra=f"batch_size: {size}")
    cells = cells_of(parsed)
    whole = [[cell.cell_id for cell in batch.cells] for batch in make_plan("x", cells).batches()]
    done = {cells.ids[number] for number in numbers}
    plan = make_plan("x", cells, done)
    left = [[cell for cell in batch if cell not in done] for batch in whole]
    assert [[cell.cell_id for cell in batch.cells] for batch in plan.batches()] == [batch for batch in left if batch]
    assert (plan.done, plan.to_do, plan.total) == (len(done), 48 - len(done), 48)
    assert plan.reasons["done"] == len(done)
    assert plan.reasons["new"] == 48 - len(done)


def test_a_finished_plan_has_no_batches():
    cells = cells_of(manifest("{seed: {count: 3}}"))
    plan = make_plan("x", cells, set(cells.ids))
    assert (plan.to_do, list(plan.batches()), list(chunks(plan)), plan.cost, plan.seconds) == (0, [], [], 0, 0)


def test_reasons(monkeypatch):
    parsed = manifest("{seed: {count: 4}}")
    before = cells_of(parsed, c=("cat",), s=("wave",))
    known = {before.addresses()(number): version_of(before, number) for number in range(2)}
    changed = expand(parsed, [image("cat", "f" * 64)], styles("wave"), dict.fromkeys(parsed.backbones(), "w"))
    plan = make_plan("x", changed, {changed.ids[3]}, failed={changed.ids[1]: 2, "other": 1}, known=known)
    assert [plan.reason(n) for n in range(4)] == ["input changed", "failed before", "new", "done"]
    assert plan.reasons == {"input changed": 1, "failed before": 1, "new": 1, "done": 1}
    assert [cell.attempt for batch in plan.batches() for cell in batch.cells] == [1, 3, 1]
    monkeypatch.setattr(GatysConfig, "VERSION", GatysConfig.VERSION + 1)
    newer = cells_of(parsed, c=("cat",), s=("wave",))
    assert set(newer.ids).isdisjoint(before.ids)
    assert make_plan("x", newer, known=known).reasons == {"method version changed": 2, "new": 2, "done": 0}


def test_a_revised_value_is_a_changed_version(monkeypatch):
    parsed = manifest("{style_representation: [gram, sliced]}")
    before = cells_of(parsed, c=("cat",), s=("wave",))
    versions = [version_of(before, number) for number in range(2)]
    known = {before.addresses()(number): version for number, version in enumerate(versions)}
    monkeypatch.setattr(GatysConfig, "REVISED", {"style_representation": {"sliced": max(versions) + 1}})
    after = cells_of(parsed, c=("cat",), s=("wave",))
    plan = make_plan("x", after, set(before.ids), known=known)
    assert plan.reasons == {"method version changed": 1, "done": 1}


def test_other_weights_are_a_changed_input():
    parsed = manifest()
    before = cells_of(parsed)
    after = expand(parsed, contents("cat"), styles("wave"), dict.fromkeys(parsed.backbones(), "other"))
    plan = make_plan("x", after, set(before.ids), known={before.addresses()(0): version_of(before, 0)})
    assert plan.reason(0) == "input changed"


def test_the_sweep_id_follows_from_the_name_and_the_cells():
    one, two = (cells_of(manifest("{seed: {count: 3}}")) for _ in range(2))
    assert make_plan("x", one).sweep_id == make_plan("x", two, set(one.ids)).sweep_id
    assert make_plan("y", one).sweep_id != make_plan("x", one).sweep_id
    assert make_plan("x", cells_of(manifest("{seed: {count: 4}}"))).sweep_id != make_plan("x", one).sweep_id


def test_json_is_json_and_adds_up():
    plan = make_plan("x", cells_of(manifest("{seed: {count: 3}, optimizer: [lbfgs, {name: adam}]}")))
    found = json.loads(json.dumps(plan.to_json()))
    assert found["cells"] == sum(found["reasons"].values()) == 2 * 3 * 6
    assert found["axes"] == {"seed": [0, 1, 2], "optimizer": ["lbfgs", {"name": "adam"}]}
    assert found["seconds"] is None
    assert found["output_bytes"] > found["cells"] * 10_000


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_cells_multiply_and_ids_are_unique(c, s, weights, seeds):
    parsed = manifest(f"{{style_weight: {list(range(weights))}, seed: {{count: {seeds}}}}}")
    cells = cells_of(parsed, [f"c{i}" for i in range(c)], [f"s{i}" for i in range(s)])
    assert len(cells) == c * s * weights * seeds == len(set(cells.ids))


@given(st.permutations(["size: 64", "steps: 5", "optimizer: {ema: 0.5, name: adam}", "tv_weight: 1.0", "name: gatys"]))
def test_the_order_of_keys_changes_no_id(keys):
    plain = manifest(method="{name: gatys, optimizer: {name: adam, ema: 0.5}, size: 64, steps: 5, tv_weight: 1}")
    assert cells_of(manifest(method="{" + ", ".join(keys) + "}")).ids == cells_of(plain).ids


@pytest.mark.process
def test_planning_imports_nothing_heavy():
    heavy = ("torch", "pandas", "pyarrow", "numpy", "PIL")
    code = f"import sys, nst.planning.batches, nst.manifest.sweep; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.slow
def test_a_large_plan_stays_columnar():
    """100 x 100 x 20 cells, all kinds of columns at once; `tests/benchmarks/bench_plan.py` has the figures."""
    parsed = manifest("{seed: {count: 20}}", extra="budget: {cells: 200000}")
    cells = cells_of(parsed, [f"c{i}" for i in range(100)], [f"s{i}" for i in range(100)])
    plan = make_plan("x", cells, set(cells.ids[::2]))
    assert plan.to_do == 100_000
    assert len(next(plan.batches()).cells) == 4


def inversion(sweep, extra="contents: a\nstyles: b\n"):
    return parse_manifest(f"name: x\n{extra}method: invert\nsweep: {sweep}\n", "x.yaml")


def test_a_method_without_content_has_cells_without_content():
    parsed = parse_manifest("name: x\nstyles: b\nmethod: texture\nsweep: {seed: {count: 2}}\n", "x.yaml")
    cells = expand(parsed, [], styles("wave", "swan"), dict.fromkeys(parsed.backbones(), "w"))
    assert len(cells) == 4
    assert {cell.content for batch in make_plan("x", cells).batches() for cell in batch.cells} == {None}
    assert [len(batch.cells) for batch in make_plan("x", cells).batches()] == [4]
    assert make_plan("x", cells).to_json()["contents"] == 0


def test_points_that_look_at_one_image_alone_are_not_multiplied_by_the_other():
    cells = cells_of(inversion("{what: [content, style], layer: [relu1_1, relu2_1]}"))
    images = [(cells.cell(n).content, cells.cell(n).style) for n in range(len(cells))]
    assert len(cells) == 2 * 2 + 3 * 2
    assert all((content is None) != (style is None) for content, style in images)
    assert cells.merged == 0
    for number in range(len(cells)):
        cell = cells.cell(number)
        assert cell.cell_id == cell_id(cell.config, cell.content, cell.style, "w", cell.output)
        assert cells.addresses()(number) == address(cell)
    assert sum(len(batch.cells) for batch in make_plan("x", cells).batches()) == 10
