"""A zoo of bad manifests: each must give exactly the messages beside it, whatever else changes.

To accept changed messages after reading them: NST_ACCEPT=1 pytest tests/test_bad_manifests.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nst.errors import UserError
from nst.manifest.sweep import parse_manifest
from nst.manifest.training import manifest_kind, parse_train_manifest
from nst.plan.cells import expand
from nst.records import ImageRef, StyleRef

ZOO = Path(__file__).parent / "bad_manifests"
FILES = sorted(ZOO.glob("*.yaml"))
CONTENTS = [ImageRef(name, f"{name}.jpg", f"{number:064x}") for number, name in enumerate(("chelsea", "night"))]
STYLES = [StyleRef(ref.name, (ref,), (1.0,)) for ref in [ImageRef(n, n, n * 16) for n in ("wave", "swan", "iris")]]


def plan(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    def read_base(base):
        return (ZOO / base).read_text(encoding="utf-8")

    if manifest_kind(text, file.name, read_base) == "train":
        parse_train_manifest(text, file.name, read_base)
        return
    manifest = parse_manifest(text, file.name, read_base)
    expand(manifest, CONTENTS, STYLES, dict.fromkeys(manifest.backbones(), "weights"))


def messages(file: Path) -> str:
    with pytest.raises(UserError) as caught:
        plan(file)
    return f"{caught.value}\n"


def test_the_zoo_is_large():
    assert len(FILES) >= 80


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_gives_exactly_these_messages(file):
    golden = file.with_suffix(".txt")
    found = messages(file)
    if os.environ.get("NST_ACCEPT"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_message_shows_its_place(file):
    for line in messages(file).splitlines():
        if ": error: " in line:
            name, row, column = line.split(": error: ")[0].rsplit(":", 2)
            assert (ZOO / name).exists()
            assert int(row) >= 1
            assert int(column) >= 1


def test_every_golden_text_has_its_manifest():
    assert {file.stem for file in ZOO.glob("*.txt")} == {file.stem for file in FILES}
