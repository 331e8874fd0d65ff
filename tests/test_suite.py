"""The suite itself: tests that share a costly fixture stay in one process."""

from __future__ import annotations

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process")
@pytest.mark.xdist_group("together")
def test_groups_of_tests_are_kept_together(request):
    assert request.node.nodeid.endswith("@together")
