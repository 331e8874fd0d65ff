"""What done cells tell a plan: rates over all results, kept by file, and the versions of the addresses asked for."""

from __future__ import annotations

import json

import pytest

from nst.config.gatys import GatysConfig
from nst.planning.rates import rate_of
from tasks.planning.history import known_rates, known_versions
from tasks.root import open_root

GATYS, MRF = ("gatys", "vgg19", "float32"), ("mrf", "vgg16", "float32")


def commit(catalog, number, *rows, publish=True):
    names = ("method", "backbone", "precision", "seconds", "cost", "address", "method_version")
    names += ("backbone_weights", "finish_digest")
    done = [{"cell_id": f"{number}-{n}", **dict(zip(names, row, strict=False))} for n, row in enumerate(rows)]
    catalog.commit("results", "sweep", f"batch-{number}", done)
    if publish:
        catalog.publish("results")


@pytest.fixture
def catalog(tmp_path):
    return open_root(str(tmp_path)).catalog


def again(catalog):
    return open_root(catalog.store.uri).catalog


def test_rates_are_seconds_by_cost_over_all_results_of_a_kind(catalog):
    assert known_rates(catalog) == {}
    commit(catalog, 1, (*GATYS, 2.0, 10.0), (*GATYS, 4.0, 10.0), (*MRF, 3.0, 1.0))
    commit(catalog, 2, (*GATYS, 6.0, 40.0), ("feedforward", None, "float32", 1.0, 4.0), (*MRF, None, 5.0))
    expected = {GATYS: 12 / 60, MRF: 3.0, ("feedforward", "", "float32"): 0.25}
    for other in (catalog, again(catalog), again(catalog)):
        assert known_rates(other) == pytest.approx(expected)
    for number in range(3, 12):
        commit(catalog, number, (*MRF, 1.0, 1.0))
    assert catalog.compact("results") > 0
    assert known_rates(catalog) == pytest.approx({**expected, MRF: 12 / 10})
    kept = json.loads(catalog.store.get("state/rates.json"))
    assert kept.keys() == catalog.ledger("results").sync().live.keys()


def test_a_file_that_was_read_is_not_read_again(catalog):
    commit(catalog, 1, (*GATYS, 2.0, 10.0))
    known_rates(catalog)
    (file,) = catalog.ledger("results").sync().live
    commit(catalog, 2, (*GATYS, 3.0, 10.0))
    catalog.store.delete(file)  # whoever reads it now does not find it
    assert known_rates(again(catalog)) == {GATYS: 0.25}


def test_a_distilled_network_has_a_rate_of_its_own(catalog):
    weights = {"torchvision": 2.0, "file.safetensors": 4.0, "draft": 1.0}
    commit(catalog, 1, *((*GATYS, seconds, 1.0, None, None, name) for name, seconds in weights.items()))
    configs = [GatysConfig(backbone={"weights": name}) for name in weights]
    assert [known_rates(catalog)[rate_of(config)] for config in configs] == [3.0, 3.0, 1.0]


def test_cells_that_a_network_finishes_have_a_rate_of_their_own(catalog):
    rows = [(2.0, None), (7.0, "digest of the network"), (4.0, None)]
    commit(catalog, 1, *((*GATYS, seconds, 1.0, None, None, None, digest) for seconds, digest in rows))
    configs = [GatysConfig(backbone={"weights": "torchvision"}, finish=end) for end in (None, {"model": "latest"})]
    assert [known_rates(catalog)[rate_of(config)] for config in configs] == [3.0, 7.0]


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"a": [[1]]}', b'{"a": 7}', b'{"a": [["m", "b", "p", "x", 1]]}']
)
def test_rates_that_cannot_be_read_are_made_again(catalog, damage):
    commit(catalog, 1, (*GATYS, 2.0, 10.0))
    catalog.store.put("state/rates.json", damage)
    assert known_rates(catalog) == {GATYS: 0.2}
    assert json.loads(catalog.store.get("state/rates.json"))


def test_versions_are_those_of_the_addresses_asked_for(catalog):
    commit(catalog, 1, (*GATYS, 1.0, 1.0, "a", 1), (*GATYS, 1.0, 1.0, "b", 1))
    commit(catalog, 2, (*GATYS, 1.0, 1.0, "a", 3), (*GATYS, 1.0, 1.0, "a", 2), (*GATYS, 1.0, 1.0, None, 1))
    commit(catalog, 3, (*GATYS, 1.0, 1.0, "c", 1), publish=False)
    assert known_versions(catalog, frozenset({"a", "c", "x"})) == {"a": 3, "c": 1}
    assert known_versions(catalog, frozenset()) == {}
