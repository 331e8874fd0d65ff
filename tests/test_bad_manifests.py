"""A zoo of bad manifests: each must give exactly the messages beside it, whatever else changes.

To accept changed messages after reading them: NST_ACCEPT=1 pytest tests/test_bad_manifests.py

A text says `<methods>` where the message lists every method, so that a new method changes no text; `<families>`,
`<backbones>` and `<schemes>` likewise.
"""

from __future__ import annotations

import ast
import os
import sys
from functools import cache
from pathlib import Path

import pytest

import nst.manifest
from nst.config import METHOD_CONFIGS
from nst.config.architectures import ARCHITECTURES
from nst.config.locations import INPUT_SCHEMES
from nst.config.training import TRAINING_CONFIGS
from nst.errors import ManifestError, UserError
from nst.manifest.declaration import read_declaration
from nst.manifest.sweep import check_manifest
from nst.manifest.training import check_train_manifest
from nst.planning.cells import expand
from nst.records import ImageRef, StyleRef
from nst.yaml.reporter import Reporter

ZOO = Path(__file__).parent / "bad_manifests"
FILES = sorted(ZOO.glob("*.yaml"))
CONTENTS = [ImageRef(name, f"{name}.jpg", f"{number:064x}") for number, name in enumerate(("chelsea", "night"))]
STYLES = [StyleRef(ref.name, (ref,), (1.0,)) for ref in [ImageRef(n, n, n * 16) for n in ("wave", "swan", "iris")]]
LISTS = {
    "<methods>": METHOD_CONFIGS,
    "<families>": TRAINING_CONFIGS,
    "<backbones>": ARCHITECTURES,
    "<schemes>": INPUT_SCHEMES,
}


def plan(file: Path) -> None:
    def read_base(base):
        return (ZOO / base).read_text(encoding="utf-8")

    declaration = read_declaration(file.read_text(encoding="utf-8"), file.name, read_base)
    if declaration.kind == "train":
        check_train_manifest(declaration)
        return
    manifest = check_manifest(declaration)
    expand(manifest, CONTENTS, STYLES, dict.fromkeys(manifest.backbones(), "weights"))


@cache
def messages(file: Path) -> str:
    with pytest.raises(UserError) as caught:
        plan(file)
    text = f"{caught.value}\n"
    for name, words in LISTS.items():
        text = text.replace(", ".join(words), name)
    return text


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


def reports() -> set[tuple[str, int]]:
    """Return the file and the line of every call of nst.manifest that reports a fault."""
    found = set()
    for file in Path(nst.manifest.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("report.add", "report.add_fault")):
                found.add((file.name, node.lineno))
    return found


def test_every_fault_that_is_looked_for_is_in_the_zoo(monkeypatch):
    reached = set()

    def recorded(method):
        def record(*args, **kwargs):
            caller = sys._getframe(1)
            reached.add((Path(caller.f_code.co_filename).name, caller.f_lineno))
            return method(*args, **kwargs)

        return record

    monkeypatch.setattr(Reporter, "add", recorded(Reporter.add))
    monkeypatch.setattr(Reporter, "add_fault", recorded(Reporter.add_fault))
    for file in FILES:
        with pytest.raises(UserError):
            plan(file)
    expected = reports()
    assert len(expected) > 10
    assert expected - reached == set()


@pytest.mark.parametrize(
    ("file", "words", "kind", "meant"),
    [
        ("method_unknown", METHOD_CONFIGS, "choice", "gatys"),
        ("method_without_name", METHOD_CONFIGS, "missing", "name"),
        ("train_family_typo", TRAINING_CONFIGS, "choice", "johnson"),
        ("train_family_missing", TRAINING_CONFIGS, "missing", "family"),
    ],
)
def test_a_name_that_is_not_known_is_answered_with_all_that_are(file, words, kind, meant):
    with pytest.raises(ManifestError) as caught:
        plan(ZOO / f"{file}.yaml")
    (problem,) = caught.value.problems
    assert (problem.kind, problem.meant) == (kind, meant)
    assert f"expected one of {', '.join(words)}" in f"{problem.message}; {problem.hint}"
