from __future__ import annotations

import math
import re

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from nst.errors import ManifestError
from nst.yaml.text import MAX_CHARACTERS, load

FRAGMENTS = [
    "a", "b:", ": ", "- ", "\n", "  ", "\t", "[", "]", "{", "}", ",", "&a ", "*a", "!!int ", "!x ", "<<: ", "? ",
    "| \n", "> ", "'", '"', "#", "---", "...", "%YAML 1.2\n", "%TAG ! x\n", "012", "1e3", ".inf", "\x00", "\ud800",
    "\u2028", "\ufeff", "😀", "~", "null", "yes", "\\u", "0x", "@", "`", "9" * 30,
]  # fmt: skip


def value(text):
    return load(text, "x.yaml").value


def refused(text):
    with pytest.raises(ManifestError) as caught:
        load(text, "x.yaml")
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e3", 1000.0), ("1e-3", 0.001), ("1.5", 1.5), (".5", 0.5), ("-7", -7), ("+7", 7), ("0", 0), ("0.0", 0.0),
        ("0o17", 15), ("0x1F", 31), ("true", True), ("False", False), ("null", None), ("~", None), (".inf", math.inf),
        ("no", "no"), ("on", "on"), ("Yes", "Yes"), ("y", "y"), ("12:30", "12:30"), ("1_000", "1_000"),
        ("2026-11-21", "2026-11-21"), ("0b11", "0b11"),
        ("'12'", "12"), ('"true"', "true"), ("1.2.3", "1.2.3"), ("=", "="), ("0x", "0x"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text, expected):
    assert repr(value(f"[{text}]")[0]) == repr(expected)


def test_block_scalars_and_escapes():
    assert value('a: |\n  1\n  2\nb: "\\u00e9"\n') == {"a": "1\n2\n", "b": "é"}


def test_an_empty_text_is_none():
    assert value("") is None
    assert value("# a comment\n") is None


def test_positions_of_keys_and_values():
    document = load("a: 1\nb:\n  - {c: x}\n  - yy\n", "x.yaml")
    place = document.positions.problem(("b", 1), "m")
    assert (place.line, place.column) == (4, 5)
    assert place.excerpt == "4 |   - yy\n  |     ^^"
    key = document.positions.problem(("b", 0, "c"), "m", key=True)
    assert (key.line, key.column) == (3, 6)
    absent = document.positions.problem(("b", 0, "d", "e"), "m")
    assert (absent.line, absent.column) == (3, 5)


def test_wide_characters_count_as_one_column():
    document = load("{ü😀: x, b: 3}", "x.yaml")
    assert document.positions.problem(("b",), "m").column == 12


def test_merge_keys_are_merged_and_keep_their_place():
    document = load("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n", "x.yaml")
    assert document.value["use"] == {"x": 1, "y": 3}
    assert document.positions.problem(("use", "x"), "m").line == 1
    assert document.positions.problem(("use", "y"), "m").line == 4


def test_a_list_of_merges_prefers_the_first():
    assert value("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}")["c"] == {"x": 1, "y": 2}


def test_an_alias_points_to_where_its_value_is_written():
    document = load("a: &a [1, {b: 2}]\nc: *a\n", "x.yaml")
    assert document.value["c"] == [1, {"b": 2}]
    assert document.positions.problem(("c", 1, "b"), "m").line == 1


def test_reading_goes_on_after_faults_that_hide_nothing():
    document = load("a: 1\na: 2\nb: 012\nc: !!int 3\n", "x.yaml")
    assert document.value == {"a": 1, "b": 12, "c": "3"}
    assert [(p.line, p.message.split()[0]) for p in document.problems] == [(2, "duplicate"), (3, "the"), (4, "found")]


def test_faults_before_the_one_that_ends_reading_are_reported_with_it():
    assert [(p.line, p.message.split()[0]) for p in refused("a: 1\na: 2\nb: [\n")] == [(2, "duplicate"), (4, "not")]


def test_a_million_brackets_are_no_crash():
    assert "nested deeper" in refused("[" * 200_000)[0].message
    assert "nested deeper" in refused("{a: " * 100_000)[0].message
    assert "nested deeper" in refused("- " * 100_000)[0].message


@pytest.mark.slow
def test_size_is_bounded():
    assert "characters" in refused("a" * (MAX_CHARACTERS + 1))[0].message
    assert "more than 100000 keys and values" in refused("[" + "1," * 250_000 + "]")[0].message


def test_many_problems_are_cut_short():
    assert len(refused("".join("a: 1\n" for _ in range(5000)))) <= 101


def test_very_long_lines_are_not_repeated():
    problems = load("a: [" + "x, " * 1000 + "012]", "x.yaml").problems
    assert problems[0].excerpt == ""
    assert len(str(ManifestError(problems))) < 300


def test_a_byte_order_mark_is_ignored():
    assert value("\ufeffa: 1") == {"a": 1}


@pytest.mark.parametrize("text", ["a: \x00", "a: \x1b", "\ud800: 1", "a: \uffff", 'a: "\\ud800"'])
def test_odd_characters_are_refused_with_their_place(text):
    assert refused(text)[0].line == 1


@pytest.mark.slow
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join) | st.text(max_size=60))
@example("&a")
@example("a: &b\n<<: *b")
@example("{<<: [1, {a: 2}]}")
@example("a: !<tag:x> 3")
def test_any_text_is_a_value_or_a_manifest_error(text):
    try:
        document = load(text, "x.yaml")
    except ManifestError as error:
        found = error.problems
        assert found
    else:
        repr(document.value).encode()
        found = document.problems
    for problem in found:
        assert problem.line >= 1
        assert problem.column >= 1
        assert str(problem).startswith(f"x.yaml:{problem.line}:{problem.column}: error: ")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@given(PLAIN)
def test_what_another_program_writes_as_json_comes_back_equal(data):
    import json

    strings_or_infinity = r'("(?:[^"\\]|\\.)*")|Infinity'  # the float Infinity is no JSON, and YAML spells it .inf
    text = re.sub(strings_or_infinity, lambda found: found[1] or ".inf", json.dumps(data, allow_nan=True))
    if "\\ud" in text:
        return
    if '"<<"' in text or "\\u00" in text or "\\uff" in text:
        return
    assert value(text) == data


def test_yaml_is_never_constructed_by_pyyaml():
    """The constructors of PyYAML would resolve tags; only its events are used."""
    document = load("!!python/object/apply:os.getcwd []", "x.yaml")
    assert document.value == []
    assert len(document.problems) == 1
    assert yaml.__with_libyaml__
