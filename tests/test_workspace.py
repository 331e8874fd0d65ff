"""What a worker keeps warm is computed once, and the oldest goes first."""

import numpy as np
import pytest
import torch
from cells import picture

from nst.backbones import random_weights
from nst.config.backbone import BackboneConfig
from nst.recent import Recent, bytes_of
from nst.workspace import Workspace


def test_recent_computes_once_and_forgets_what_was_used_longest_ago():
    recent, computed = Recent(2), []

    def get(key):
        return recent.get(key, lambda: computed.append(key) or key.upper())

    assert [get(key) for key in "abab"] == list("ABAB")
    assert computed == ["a", "b"]
    get("c")
    assert get("b") == "B"
    assert computed == ["a", "b", "c"]
    get("a")
    assert computed == ["a", "b", "c", "a"]


def test_owners_share_the_room_and_keep_equal_keys_apart():
    first = Recent(2)
    second = first.owned_by("second")
    assert [first.get("a", lambda: 1), second.get("a", lambda: 2)] == [1, 2]
    assert [first.get("a", lambda: 3), second.get("a", lambda: 4)] == [1, 2]
    second.get("b", lambda: 5)
    assert first.get("a", lambda: 6) == 6  # it had to make room


def test_a_backbone_is_built_anew_for_other_weights_of_the_same_name():
    shared = Workspace("cpu", lambda _: {})
    config = BackboneConfig(name="vgg16", weights="own.safetensors")
    backbones = {}
    for digest, seed in (("one", 0), ("other", 1), ("one", 2)):  # the third is warm: nothing is loaded
        workspace = shared.with_weights(digest, lambda _, seed=seed: random_weights("vgg16", seed, "relu1_1"))
        backbones.setdefault(digest, []).append(workspace.backbone(config, frozenset(["relu1_1"]), torch.float32))
        workspace.features.get("cat", lambda digest=digest: digest)
    assert backbones["one"][0] is backbones["one"][1]
    assert backbones["one"][0] is not backbones["other"][0]
    assert shared.with_weights("other", dict).features.get("cat", lambda: "lost") == "other"


def test_recent_is_bounded_by_what_its_values_weigh():
    recent = Recent(100, len)
    for key in "abc":
        recent.get(key, lambda: "x" * 40)
    assert recent.weight == 80
    assert recent.get("b", lambda: "lost") == "x" * 40
    recent.get("large", lambda: "y" * 95)
    assert recent.weight == 95
    assert recent.get("huge", lambda: "z" * 1000) == "z" * 1000
    assert recent.get("huge", lambda: "lost") == "z" * 1000, "the last value is kept whatever it weighs"
    assert recent.get("b", lambda: "lost") == "lost"


def test_many_small_values_have_room_where_few_large_ones_have():
    recent = Recent(2**20, bytes_of)
    for key in range(500):
        recent.get(key, lambda: np.zeros(1000, np.uint8))
    assert recent.weight == 500_000
    for key in range(5):
        recent.get(("large", key), lambda: np.zeros(2**19, np.uint8))
    assert recent.weight == 2**20


def test_bytes_are_those_of_all_arrays_in_a_value():
    assert bytes_of(picture(1, 32, 40)) == 32 * 40 * 3
    statistics = {"relu1_1": (torch.zeros(4, 4), torch.zeros(2, dtype=torch.float64)), "relu2_1": None}
    assert bytes_of(statistics) == 64 + 16
    with pytest.raises(TypeError, match="set"):
        bytes_of([{1}])
