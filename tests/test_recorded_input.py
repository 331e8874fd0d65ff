"""`backbone_input` says what the weights of a row were given, whatever the manifest says; ids do not depend on that."""

from __future__ import annotations

import pytest

from nst.config import GatysConfig
from nst.config.backbone import NAMED
from nst.identity import cell_id
from nst.records import ImageRef, OutputFormat, StyleRef
from tasks.catalog.parameters import flatten
from tasks.pages.gallery.columns import tabulate

CELLS = (ImageRef("c", "c.png", "0" * 64), StyleRef("s", (ImageRef("s", "s.png", "1" * 64),), (1.0,)))


# The distilled networks expect what their teacher was given, Caffe's VGG-19 (NOTICE); random ones were given nothing.
@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        ({"weights": "embedded"}, "caffe"),
        ({"weights": "draft"}, "caffe"),
        ({"weights": "random", "input": "caffe_bgr"}, "torchvision"),
        ({"weights": "torchvision"}, "torchvision"),
        ({"weights": "vgg19-d01eb7cb.pth", "input": "caffe_bgr"}, "caffe_bgr"),
    ],
)
def test_the_column_says_what_the_weights_expect(backbone, expected):
    assert flatten(GatysConfig(backbone=backbone))["backbone_input"] == expected


def test_the_id_of_a_cell_stays():
    found = cell_id(GatysConfig(backbone={"weights": "embedded"}), *CELLS, "w", OutputFormat())
    assert found == "9e996451423e3dfb65f454d59559fb1f"  # of version 5; it follows the weights that are recorded


def test_the_page_leaves_out_of_the_manifest_of_a_cell_what_follows_from_the_weights():
    row = {"cell_id": "a", "content_name": "c", "style_name": "s", "picture_uri": "file:///p.png"}
    row |= flatten(GatysConfig(backbone={"weights": "embedded"}))
    assert tabulate([row], "file:///index.html")["inputless"] == [name for name in NAMED if name != "torchvision"]
