"""The README tells the truth: its references are those of the code, its commands exist, its links resolve.

`python tests/test_readme.py` writes the generated parts anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from nst.manifest.reference import manifest_reference
from tasks.catalog.reference import catalog_reference

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GENERATED = {"manifest": manifest_reference, "catalog": catalog_reference}


def generated(text: str) -> str:
    for name, make in GENERATED.items():
        pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
        assert pattern.search(text), name
        text = pattern.sub(lambda match, make=make: f"{match[1]}{make().strip()}\n{match[2]}", text)
    return text


def test_the_references_are_those_of_the_code():
    text = README.read_text()
    assert text == generated(text), "run python tests/test_readme.py"


def code(text: str) -> str:
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


def test_every_command_is_in_the_readme_and_every_command_of_the_readme_exists():
    from flows.__main__ import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    named = set(re.findall(r"(?:^|`)nst +([a-z]+)", code(README.read_text()), re.MULTILINE))
    assert commands == named


def test_links_and_files_that_are_named_exist():
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text()
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (ROOT / target).exists(), (document, target)
        for target in re.findall(r"`((?:nst|tasks|flows|tests|manifests)/[\w/.*]+)`", text):
            assert "*" in target or "<" in target or (ROOT / target).exists(), (document, target)
            assert "*" not in target or list(ROOT.glob(target)), (document, target)


def test_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", code(README.read_text())):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


if __name__ == "__main__":
    README.write_text(generated(README.read_text()))
