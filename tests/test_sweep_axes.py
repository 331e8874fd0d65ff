from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst.config import GatysConfig
from nst.manifest.axes import parse_sweep
from nst.manifest.building import make_variants
from nst.manifest.methods import paths
from nst.manifest.named import NamedSettings
from nst.manifest.sweep import parse_manifest
from nst.manifest.variants import unravel
from nst.yaml.positions import Layer, Where
from nst.yaml.reporter import Reporter

KNOWN = paths(GatysConfig) - {"name"}


def read(raw):
    report = Reporter(Where((Layer("x.yaml"),)))
    sweep = parse_sweep(raw, KNOWN, report, fixed={})
    return sweep, [problem.message for problem in report.problems.values()]


def values(raw):
    sweep, problems = read({"style_weight": raw})
    assert problems == []
    return list(sweep.axes[0].values)


def test_settings_are_known_by_their_dotted_paths():
    assert {"style_weight", "optimizer", "optimizer.learning_rate", "optimizer.history", "backbone.pooling"} <= KNOWN
    assert "style_layers.relu1_1" not in KNOWN


def test_log_range_multiplies_by_equal_factors():
    assert values({"from": 1, "to": 10000, "num": 5, "scale": "log"}) == [1, 10, 100, 1000, 10000]
    assert values({"from": 1, "to": 100, "num": 4, "scale": "log"}) == [1, 4.64158883361, 21.5443469003, 100]


def test_linear_range_has_both_ends_exactly():
    assert values({"from": 0.1, "to": 0.7, "num": 4}) == [0.1, 0.3, 0.5, 0.7]
    assert values({"from": 0, "to": 10, "num": 3, "scale": "linear"}) == [0, 5, 10]


def test_whole_numbers_stay_whole():
    assert [type(v) for v in values({"from": 100, "to": 300, "num": 3})] == [int, int, int]


def test_seeds_count_from_zero_or_first():
    assert values({"count": 3}) == [0, 1, 2]
    assert values({"count": 3, "first": 10}) == [10, 11, 12]


@pytest.mark.parametrize("lengths", [(3, 2), (2, 3), (1, 2), (3, 3, 2)])
def test_zipped_axes_of_unequal_lengths_are_refused(lengths):
    settings_ = ("style_weight", "tv_weight", "content_weight")
    group = {name: list(range(1, length + 1)) for name, length in zip(settings_, lengths, strict=False)}
    _, problems = read({"zip": [group]})
    told = ", ".join(f"{name} has {len(given)}" for name, given in group.items())
    assert problems == [f"zipped axes must have equally many values: {told}"]


def test_zip_pairs_and_the_rest_multiplies():
    sweep, problems = read({"seed": {"count": 2}, "zip": [{"style_weight": [1, 10, 100], "tv_weight": [0, 1, 2]}]})
    assert problems == []
    assert sweep.lengths == (2, 3)


def test_a_count_is_known_before_anything_is_expanded():
    _, problems = read({path: {"count": 100_000} for path in ("seed", "steps", "size", "style_weight")})
    assert problems == [
        f"the axes make {100_000**4} points (100000 x 100000 x 100000 x 100000), expected at most 2000000"
    ]


@pytest.mark.parametrize(
    ("rule", "points"),
    [
        ({"style_weight": 10}, {2, 3}),
        ({"style_weight": 10.0, "seed": 1}, {3}),
        ({"style_weight": [1, 100], "seed": [0]}, {0, 4}),
    ],
)
def test_rules_match_points(rule, points):
    sweep, problems = read({"style_weight": [1, 10, 100], "seed": {"count": 2}, "exclude": [rule]})
    assert problems == []
    assert set(sweep.matching(sweep.rules[0])) == points
    assert {i for i, out in enumerate(sweep.excluded()) if out} == points


def test_blocks_are_matched_by_name_or_by_some_of_their_keys():
    axes = {"optimizer": ["lbfgs", {"name": "adam", "ema": 0.9}, {"name": "adam", "ema": 0.5}]}
    for wanted, points in (("adam", [1, 2]), ({"ema": 0.5}, [2]), ("lbfgs", [0]), ({"name": "lbfgs"}, [0])):
        sweep, problems = read({**axes, "exclude": [{"optimizer": wanted}]})
        assert problems == []
        assert sweep.matching(sweep.rules[0]) == points


def test_rules_about_zipped_axes_need_both():
    zipped = [{"style_weight": [1, 1, 2], "tv_weight": [0, 1, 1]}]
    sweep, problems = read({"zip": zipped, "exclude": [{"style_weight": 1, "tv_weight": 1}]})
    assert problems == []
    assert sweep.matching(sweep.rules[0]) == [1]


def test_a_zipped_pair_stands_once():
    _, problems = read({"zip": [{"style_weight": [1, 2, 1], "tv_weight": [0, 1, 0]}]})
    assert problems == ["point 3 of the zipped axes repeats point 1"]


AXES = {
    "style_weight": st.lists(st.integers(0, 1000), min_size=1, max_size=4, unique=True),
    "seed": st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
    "size": st.lists(st.sampled_from([64, 128, 256]), min_size=1, max_size=2, unique=True),
    "optimizer": st.lists(
        st.sampled_from(["lbfgs", "adam", {"name": "adam", "ema": 0.5}, {"history": 7}]), min_size=1, max_size=2
    ).filter(lambda found: len({str(v) for v in found}) == len(found)),
    "pyramid.levels": st.lists(st.integers(1, 4), min_size=1, max_size=2, unique=True),
    "pyramid.factor": st.lists(st.sampled_from([0.5, 0.7]), min_size=1, max_size=2, unique=True),
    "preset": st.lists(st.sampled_from([None, "gatys", "pytorch", "crowsonkb"]), min_size=1, max_size=3, unique=True),
    "backbone.weights": st.lists(
        st.sampled_from(["random", "torchvision", "a.pth"]), min_size=1, max_size=2, unique=True
    ),
    "trace_every": st.just([0, 10]),
}
SWEEPS = st.lists(st.sampled_from(sorted(AXES)), unique=True, max_size=4).flatmap(
    lambda names: st.fixed_dictionaries({name: AXES[name] for name in names})
)


@pytest.mark.slow
@given(
    SWEEPS,
    st.sampled_from([{}, {"steps": 7}, {"preset": "jcjohnson"}, {"optimizer": "lbfgs", "pyramid": {"levels": 2}}]),
)
def test_putting_variants_together_equals_validating_each_whole(raw, base):
    sweep, problems = read(raw)
    assert problems == []
    method = NamedSettings(GatysConfig, "gatys", {"name": "gatys", **base}, ("method",))
    report, whole_report = (Reporter(Where((Layer("x.yaml"),))) for _ in range(2))
    fast = make_variants(method, sweep, report)
    slow = make_variants(method, sweep, whole_report, whole=True)
    assert {p.message for p in report.problems.values()} == {p.message for p in whole_report.problems.values()}
    if report.problems:  # such as a `history` for the optimizer of a preset that has none
        return
    assert len(fast) == math.prod(len(values) for values in raw.values())
    assert fast.settings == slow.settings
    assert list(fast.structure) == list(slow.structure)
    assert fast.first == slow.first


def test_variants_are_what_pydantic_makes_of_the_method_with_the_values_put_in():
    text = """
name: x
contents: a
styles: b
method: {name: gatys, optimizer: adam}
sweep:
  optimizer.learning_rate: [0.1, 0.2]
  zip: [{seed: [1, 2], size: [64, 128]}]
"""
    variants = parse_manifest(text, "x.yaml").variants
    assert len(variants) == 4
    expected = [
        GatysConfig.model_validate(
            {"name": "gatys", "optimizer": {"name": "adam", "learning_rate": rate}, "seed": seed, "size": size}
        )
        for rate in (0.1, 0.2)
        for seed, size in ((1, 64), (2, 128))
    ]
    assert [variants.config(i) for i in range(4)] == expected
    assert variants.values(3) == {"optimizer.learning_rate": 0.2, "seed": 2, "size": 128}


def test_variants_that_differ_only_in_numbers_share_a_structure():
    text = (
        "name: x\ncontents: a\nstyles: b\nmethod: gatys\nsweep: {style_weight: [1, 2], seed: [3, 4], size: [64, 128]}"
    )
    assert list(parse_manifest(text, "x.yaml").variants.structure) == [0, 1] * 4


@given(st.lists(st.integers(1, 5), max_size=4), st.integers(0, 10**6))
def test_unravel_is_row_major(lengths, number):
    number %= math.prod(lengths)
    indices = unravel(number, lengths)
    back = 0
    for index, length in zip(indices, lengths, strict=True):
        back = back * length + index
    assert back == number
