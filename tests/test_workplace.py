"""Memory that a worker frees stays with it: the kernel need not clear the same pages at every step."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

STEPS = """
import resource, sys
import torch
from tasks.work.workplace import keep_freed_memory

def step():
    x = torch.ones(16 << 20)  # 64 MiB
    y = torch.relu(x + 1)
    del x
    return (y * 2).sum()

def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(3):
    step()
before = page_faults()
for _ in range(6):
    step()
print(page_faults() - before)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", STEPS, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_used_again():
    assert faults("keep") < 0.5 * faults("return")
