"""The error tree: what the docstring of nst.errors draws is all that there is."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
import re

import flows
import nst
import nst.errors
import tasks
from nst.errors import ManifestError, NstError, Problem


def drawn() -> dict[str, str]:
    """Return the parent of each error in the docstring of nst.errors, "" for the root."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in nst.errors.__doc__.splitlines():
        if node := re.match(r"(    [|` -]*)([A-Z]\w+)(  |$)", line):
            indent, name = len(node[1]), node[2]
            above = [(outer, parent) for outer, parent in above if outer < indent]
            parents[name] = above[-1][1] if above else ""
            above.append((indent, name))
    return parents


def derived(error: type[NstError]) -> dict[str, str]:
    """Return the parent of each error below `error`."""
    parents = {}
    for child in error.__subclasses__():
        if child.__module__.partition(".")[0] in {"flows", "tasks", "nst"}:
            parents |= {child.__name__: error.__name__} | derived(child)
    return parents


def test_the_tree_is_drawn_whole():
    for package in (nst, tasks, flows):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    assert drawn() == {"NstError": ""} | derived(NstError)


def test_a_manifest_error_is_its_problems_in_the_order_of_the_file():
    later, first = Problem("x.yaml", 3, 1, "b", "do c"), Problem("x.yaml", 2, 5, "a", excerpt="2 | x\n  | ^")
    error = ManifestError((later, first))
    assert error.problems == (first, later)
    assert str(error) == "x.yaml:2:5: error: a\n2 | x\n  | ^\nx.yaml:3:1: error: b; do c"


def test_errors_cross_processes_with_all_that_they_say():
    for error in (NstError("a", hint="b"), ManifestError((Problem("x.yaml", 1, 2, "m", kind="missing", meant="k"),))):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)
