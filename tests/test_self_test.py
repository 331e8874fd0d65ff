"""The self-test of a device: its answer is known without it, and a wrong or missing one is the device's fault."""

from __future__ import annotations

import pytest
import torch

from nst.errors import DeviceError, InputError, NumericalError, OutOfMemory, StorageError, UserError
from tasks.work.self_test import acquit, device_fault

CONVOLUTION = torch.nn.functional.conv2d


def test_this_machine_passes_and_no_random_number_is_drawn():
    before = torch.get_rng_state()
    assert device_fault("cpu") == ""
    with torch.no_grad():
        assert device_fault("cpu") == ""
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (lambda x, w: CONVOLUTION(x, w) * 1.01, "output"),
        (lambda x, w: CONVOLUTION(x, w) * float("nan"), "output"),
        (lambda x, w: CONVOLUTION(x, w.detach()) + 0 * w.sum(), "gradient"),
        (lambda x, w: CONVOLUTION(x, w.detach() + 0.9 * (w - w.detach())), "gradient"),
    ],
    ids=["a wrong answer", "no number", "no gradient", "a wrong gradient"],
)
def test_a_device_that_computes_wrongly_fails(monkeypatch, broken, what):
    monkeypatch.setattr(torch.nn.functional, "conv2d", broken)
    assert device_fault("cpu") == f"a small convolution has a wrong {what}"


def test_a_device_that_raises_fails_in_one_line():
    assert device_fault("cuda:97").count("\n") == 0
    assert device_fault("cuda:97") != ""


@pytest.mark.parametrize("error", [RuntimeError("CUDA error"), ValueError("x"), NumericalError("no number")])
def test_a_broken_device_is_blamed_for_what_it_may_have_caused(error):
    acquit("cpu", [error])
    with pytest.raises(DeviceError):
        acquit("cuda:97", [InputError("no picture"), error])


@pytest.mark.parametrize("error", [InputError("x"), UserError("x"), StorageError("x"), OutOfMemory("x")])
def test_a_device_is_not_asked_about_what_it_cannot_have_caused(error):
    acquit("cuda:97", [error])
    acquit("cuda:97", [])
