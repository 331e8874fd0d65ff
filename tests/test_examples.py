"""The examples in the docstrings of losses and methods are true."""

import doctest
import pkgutil
from importlib import import_module

import numpy as np
import pytest
import torch

import nst.losses
import nst.methods
from nst.config import METHOD_CONFIGS
from nst.errors import InputError
from nst.losses.style import STYLE_LOSSES, batch_target, style_target
from nst.methods.targets import Targets
from nst.pictures.images import Pixels
from nst.pictures.masks import plain_labels
from nst.workspace import Request, Workspace

MODULES = [
    f"{package.__name__}.{module.name}"
    for package in (nst.losses, nst.methods)
    for module in pkgutil.iter_modules(package.__path__)
]
TINY = {"size": 32, "steps": 2, "backbone": {"weights": "random"}}
SHALLOW = {"content_layers": ["relu2_1"], "style_layers": ["relu1_1", "relu2_1"]}


def ramp(name, rows, columns):
    return Pixels(name, np.linspace(0, 255, rows * columns * 3).reshape(rows, columns, 3).astype(np.uint8))


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    module = import_module(name)
    known = {config.__name__: config for config in METHOD_CONFIGS.values()}
    told = {
        "torch": torch,
        "np": np,
        "InputError": InputError,
        "STYLE_LOSSES": STYLE_LOSSES,
        "batch_target": batch_target,
        "style_target": style_target,
        "plain_labels": plain_labels,
        "Request": Request,
        "Targets": Targets,
        "content": ramp("content", 24, 32),
        "style": ramp("style", 32, 32),
        "tiny": TINY,
        "shallow": SHALLOW,
        "workspace": Workspace("cpu", lambda _: {}),
    }
    found = doctest.testmod(module, extraglobs=known | told)
    assert found.failed == 0


def test_every_public_function_of_the_losses_has_an_example():
    for name in (name for name in MODULES if name.startswith("nst.losses.")):
        module = import_module(name)
        for key, value in vars(module).items():
            if callable(value) and getattr(value, "__module__", "") == name and not key.startswith("_"):
                is_record = hasattr(value, "__dataclass_fields__") and "__call__" not in vars(value)
                assert is_record or ">>>" in (value.__doc__ or ""), f"{name}.{key}"
