"""The examples in docstrings of nst are true; `pytest --doctest-modules nst/losses nst/methods` says so too."""

import doctest
import importlib
import pkgutil

import pytest

import nst

ROOMS = sorted(module.name for module in pkgutil.iter_modules(nst.__path__, "nst."))


@pytest.mark.parametrize("room", ROOMS)
def test_examples_are_true(room):
    package = importlib.import_module(room)
    names = [room, *(module.name for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{room}."))]
    results = {name: doctest.testmod(importlib.import_module(name)) for name in names}
    assert not {name for name, result in results.items() if result.failed}
    if room == "nst.losses":
        assert sum(result.attempted for result in results.values()), "there are examples to learn from"
