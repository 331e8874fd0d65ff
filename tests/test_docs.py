"""The documents tell the truth: references are those of the code, examples parse, links resolve, commands exist.

`python tests/test_docs.py` writes the generated references anew.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

import command_lines
import pytest

from nst.config import METHOD_CONFIGS
from nst.config.optimizer import AdamConfig, LbfgsConfig, PyramidConfig
from nst.config.training import TRAINING_CONFIGS
from nst.errors import ManifestError
from nst.manifest.markdown import anchor
from nst.manifest.reference import manifest_reference
from nst.manifest.sweep import parse_manifest
from nst.manifest.training import parse_train_manifest
from nst.yaml.text import load
from tasks.catalog.reference import catalog_reference

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = sorted([README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
GENERATED = {ROOT / "docs" / "manifest.md": manifest_reference, ROOT / "docs" / "catalog.md": catalog_reference}

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def code(text: str) -> str:
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


def prose(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def headings(path: Path) -> list[str]:
    return [anchor(title.replace("`", "")) for title in re.findall(r"^#+ (.+)$", prose(path.read_text()), re.MULTILINE)]


def tables(text: str) -> list[list[list[str]]]:
    blocks = re.findall(r"(?:^\|.*\|\n)+", prose(text) + "\n", re.MULTILINE)
    return [[re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()] for block in blocks]


def section(title: str) -> str:
    """Return a section of the manifest's reference."""
    text = (ROOT / "docs" / "manifest.md").read_text()
    found = re.search(rf"^### {title}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def defaults(title: str) -> dict[str, object]:
    """Return the keys that a section of the manifest's reference describes or lists, with their defaults."""
    text = section(title)
    rows = [(row[0].strip(), row[2].strip()) for row in tables(text)[0][2:]]
    rows += re.findall(r"(`\w+`) \(([^)]*)\)", "\n".join(re.findall(r"^And the .*$", text, re.MULTILINE)))
    return {key.strip("`"): load(default.strip("`"), "default").value for key, default in rows}


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_the_references_are_those_of_the_code(path):
    assert path.read_text() == GENERATED[path]() + "\n", "run python tests/test_docs.py"


@pytest.mark.parametrize("name", [*METHOD_CONFIGS, *TRAINING_CONFIGS])
def test_the_reference_lists_every_setting_with_its_true_default(name):
    model = {**METHOD_CONFIGS, **TRAINING_CONFIGS}[name]
    told = defaults(name)
    assert told.keys() == model.model_fields.keys() - {"name", "family"} | (
        {"family"} if name == "feedforward" else set()
    )
    assert model.model_validate(told) == model()


def test_the_reference_lists_every_setting_of_a_block_with_its_true_default():
    assert {key: value for key, value in defaults("optimizer").items() if key != "optimizer.name"} == {
        f"optimizer.{key}": value
        for config in (LbfgsConfig(), AdamConfig())
        for key, value in config.model_dump(exclude={"name"}).items()
    }
    assert defaults("pyramid") == {f"pyramid.{key}": value for key, value in PyramidConfig().model_dump().items()}


def test_a_default_that_differs_from_the_block_s_own_is_told():
    assert defaults("dream")["pyramid"] == {"levels": 4, "factor": 0.714}  # the notebook: 4 octaves, scale 1.4
    assert defaults("texture")["backbone"] == {"name": "vgg19", "pooling": "average"}  # Gatys et al. 2015 section 2


def test_the_rooms_are_those_of_the_import_contracts():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contracts = {
        contract["name"].removeprefix("rooms of "): [set(layer.split(" | ")) for layer in contract["layers"]]
        for contract in settings["contracts"]
        if contract["name"].startswith("rooms of ")
    }
    (_, _, *rows) = next(table for table in tables((ROOT / "CONTRIBUTING.md").read_text()) if "rooms" in table[0][1])
    told = {
        name.strip().replace("`", ""): [set(re.findall(r"`(\w+)`", layer)) for layer in rooms.split(";")]
        for name, rooms in rows
    }
    assert told == contracts


def test_every_upper_bound_of_a_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    bounds = {re.split(r"[<>\[]", item)[0] + found[0] for item in wanted if (found := re.search(r"<[^,]+", item))}
    (_, _, *rows) = next(
        table for table in tables((ROOT / "docs" / "decisions.md").read_text()) if "bound" in table[0][0]
    )
    assert {row[0].strip(" `") for row in rows} == bounds


@each_document
def test_links_and_files_that_are_named_exist(document):
    text = document.read_text()
    for target, fragment in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", prose(text)):
        file = document.parent / target if target else document
        assert file.exists(), target
        assert not fragment or fragment in headings(file), (target, fragment)
    for target in re.findall(r"`((?:nst|tasks|flows|tests|manifests|docs)/[\w/.*-]+)`", text):
        found = list(ROOT.glob(target)) if "*" in target else [ROOT / target]
        assert found, target
        assert all(path.exists() for path in found), target


@each_document
def test_headings_are_unique(document):
    found = headings(document)
    if document.name != "CHANGELOG.md":
        assert sorted(set(found)) == sorted(found)


@each_document
def test_every_row_of_a_table_has_as_many_cells_as_its_head(document):
    for head, *rows in tables(document.read_text()):
        assert {len(row) for row in rows} == {len(head)}, head


@each_document
def test_every_manifest_that_is_shown_is_a_valid_one(document):
    for text in re.findall(r"```yaml\n(.*?)```", document.read_text(), re.DOTALL):
        parse = parse_train_manifest if re.search(r"^kind: train", text, re.MULTILINE) else parse_manifest
        parse(text, "shown.yaml")


def test_the_mistake_that_the_readme_shows_is_told_so():
    shown = re.findall(r"```(?:yaml)?\n(.*?)```", README.read_text(), re.DOTALL)
    (manifest,) = (text for text in shown if text.startswith("name: first\n"))
    (message,) = (text for text in shown if text.startswith("first.yaml:"))
    with pytest.raises(ManifestError) as caught:
        parse_manifest(manifest.replace("style_weight", "style_wieght"), "first.yaml")
    assert str(caught.value) == message.rstrip("\n")


def test_every_command_is_in_the_readme_and_every_command_of_the_readme_exists():
    from flows.__main__ import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    named = set(re.findall(r"(?:^|`)nst +([a-z]+)", code(README.read_text()), re.MULTILINE))
    assert commands == named


@each_document
def test_every_command_line_that_is_shown_parses(document):
    for words in command_lines.shown(document.read_text()):
        assert command_lines.parse(words) == words[0]


def test_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", code(README.read_text())):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


if __name__ == "__main__":
    for file, make in GENERATED.items():
        file.write_text(make() + "\n")
