"""Memory that a worker frees stays with it: the kernel need not clear the same pages at every step."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

STEPS = """
import resource
import torch
from tasks.work.workplace import keep_freed_memory

def step():
    x = torch.ones(9 << 20)  # 36 MiB: up to 32 MiB, the C library itself keeps pages at times
    y = torch.relu(x + 1)
    del x
    return (y * 2).sum()

def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def page_faults_of_steps():
    for _ in range(2):
        step()
    before = page_faults()
    for _ in range(3):
        step()
    return page_faults() - before

returned = page_faults_of_steps()
keep_freed_memory()
print(returned, page_faults_of_steps())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_used_again():
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    returned, kept = map(int, done.stdout.split())
    assert kept < 0.5 * returned
