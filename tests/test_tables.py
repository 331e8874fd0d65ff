"""What has a name in a manifest has an entry under that name in the table that runs it, and the other way round."""

from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from nst.backbones import BACKBONES
from nst.backbones.backbone import INPUTS
from nst.config import METHOD_CONFIGS
from nst.config.architectures import ARCHITECTURES
from nst.config.backbone import BackboneConfig
from nst.config.feedforward import FeedforwardConfig
from nst.config.fields import Representation
from nst.config.gatys import GatysConfig
from nst.config.presets import PRESETS
from nst.config.training import TRAINING_CONFIGS
from nst.losses.style import STYLE_LOSSES
from nst.losses.tv import TOTAL_VARIATIONS
from nst.losses.units import Units
from nst.methods import METHODS
from nst.networks import NETWORKS
from nst.networks.adain import MIRRORED
from nst.pictures.images import EXTENSIONS
from nst.records import OutputFormat
from nst.training.lessons import LESSONS


def words(model, field):
    """The words that a setting may be; None is none."""
    annotation = model.model_fields[field].annotation
    options = get_args(annotation) if get_origin(annotation) is not Literal else [annotation]
    return {word for option in options if get_origin(option) is Literal for word in get_args(option)}


SAME_NAMES = {
    "methods": [METHODS, METHOD_CONFIGS],
    "families": [NETWORKS, LESSONS, TRAINING_CONFIGS, words(FeedforwardConfig, "family")],
    "backbones": [BACKBONES, ARCHITECTURES, words(BackboneConfig, "name")],
    "style losses": [STYLE_LOSSES, get_args(Representation), words(GatysConfig, "style_representation")],
    "total variations": [TOTAL_VARIATIONS, words(GatysConfig, "tv")],
    "units": [get_args(Units), words(GatysConfig, "units")],
    "presets": [PRESETS, words(GatysConfig, "preset")],
    "inputs of backbones": [INPUTS, words(BackboneConfig, "input")],
    "picture formats": [EXTENSIONS, get_args(get_type_hints(OutputFormat)["format"])],
    "ends of encoders": [{f"relu{name[4:]}" for name in MIRRORED if name.endswith("_1")},
                         words(TRAINING_CONFIGS["adain"], "layer"), words(TRAINING_CONFIGS["mgan"], "layer")],
}  # fmt: skip


@pytest.mark.parametrize("about", SAME_NAMES)
def test_tables_of_one_thing_have_the_same_names(about):
    first, *others = (set(names) for names in SAME_NAMES[about])
    assert first
    assert others == [first] * len(others)


def test_an_entry_runs_what_its_name_says():
    assert {name: function.__module__ for name, function in METHODS.items()} == {n: f"nst.methods.{n}" for n in METHODS}
    assert {network.family: network for network in NETWORKS.values()} == NETWORKS
