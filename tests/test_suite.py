"""The suite itself: quick tests touch nst alone and start no process; tests that share a fixture stay together."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

COLLECT = """
import sys, pytest
code = pytest.main(["--collect-only", "-q", "-m", "quick", "tests"])
rooms = {name.partition(".")[0] for name in sys.modules}
print([int(code), sorted(rooms & {"tasks", "flows", "prefect", "moto", "typer"}), sorted(rooms & {"nst", "torch"})])
"""


@pytest.mark.process
def test_reading_all_quick_tests_imports_nothing_beyond_nst(pytestconfig):
    done = subprocess.run(
        [sys.executable, "-c", COLLECT], cwd=pytestconfig.rootpath, capture_output=True, text=True, check=True
    )
    *tests, counted, _, result = done.stdout.strip().splitlines()
    assert ast.literal_eval(result) == [0, [], ["nst", "torch"]], counted
    assert len(tests) > 500


def test_a_quick_test_cannot_start_a_process(request):
    assert request.node.get_closest_marker("quick")
    with pytest.raises(pytest.fail.Exception, match="mark this one with `process`"):
        subprocess.run([sys.executable, "-c", ""], check=True)


@pytest.mark.process
def test_another_test_can(request):
    assert not request.node.get_closest_marker("quick")
    subprocess.run([sys.executable, "-c", ""], check=True)


def test_no_test_is_quick_that_needs_a_server(request):
    """Of the tests that were collected together with this one."""
    quick = [item for item in request.session.items if item.get_closest_marker("quick")]
    assert request.node in quick
    assert not [item.nodeid for item in quick if {"s3", "store", "fault_proxy"} & set(item.fixturenames)]


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process")
@pytest.mark.xdist_group("together")
def test_groups_of_tests_are_kept_together(request):
    assert request.node.nodeid.endswith("@together")
