"""Every score says what it is worth."""

from __future__ import annotations

from nst.config.judgement import JUDGEMENTS
from nst.config.scores import ENOUGH, ORDERED, PAIRS, noted, ranks
from nst.pictures.metrics import METRICS


def test_every_metric_and_judgement_was_counted_or_says_that_it_was_not():
    assert ORDERED.keys() == METRICS.keys() | JUDGEMENTS.keys()
    assert all(count is None or 0 <= count <= PAIRS for count in ORDERED.values())


def test_a_score_ranks_from_three_quarters_of_the_pairs_on():
    assert ENOUGH == 0.75 * PAIRS
    assert {name for name in ORDERED if ranks(name)} == {
        name for name in ORDERED if noted(name, "").startswith(" Orders")
    }
    assert not ranks("cfsd_content")
    assert noted("cfsd_content", "X.") == "X. Descriptive: whether it ranks pictures was not measured."
