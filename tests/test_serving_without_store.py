"""A page that is served while its bucket or its folder is gone: it says so once, and ends when it is asked to."""

from __future__ import annotations

import http.client
import json
import re
import signal
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from faultproxy import Rule
from sweeps import write_pictures
from test_gallery_command import served, submitted

VOTE = {
    "vote_id": "1" * 32, "left_cell_id": "2" * 32, "right_cell_id": "3" * 32, "preferred": "tie", "shown": "side",
    "pairs": "pair", "browser": "abcdefgh", "voted_at": "2026-11-30T01:02:03.456Z",
}  # fmt: skip
DEADLINE_S = 200


def send(link):
    address, _, token = link.partition("/#token=")
    headers = {"Origin": address, "Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=DEADLINE_S)) as connection:
        connection.request("POST", "/choices", json.dumps({"votes": [VOTE]}), headers)
        with connection.getresponse() as answer:
            return answer.status, answer.read().decode()


@pytest.mark.slow
@pytest.mark.process
def test_a_bucket_that_is_gone_is_said_and_holds_nothing_up(tmp_path, s3, fault_proxy):
    root = s3.root("below")
    submitted(write_pictures(tmp_path), "one", root=root)
    proxy = fault_proxy()
    process, link = served(root, _PATIENCE_S=1.0)
    try:
        assert send(link) == (204, "")
        proxy.rules.append(Rule("status:503"))
        for _ in range(2):
            status, why = send(link)
            assert status == 502
            # Everywhere else a store has a minute before that.
            assert int(re.search(r"gave up after [0-9]+ attempts in ([0-9]+) s", why)[1]) < 60
    finally:
        process.send_signal(signal.SIGTERM)
        ended = process.ended()
    said = ended.stderr
    assert ended.returncode == 0
    assert said.count("votes and notes cannot be kept") == 1
    assert said.count("the page is not up to date") <= 1
    assert said.count("not in their tables yet") <= 1


@pytest.mark.slow
@pytest.mark.process
def test_what_is_sent_after_a_folder_was_moved_is_refused_and_kept_nowhere(tmp_path):
    root = tmp_path / "root"
    submitted(write_pictures(tmp_path), "one", root=str(root))
    process, link = served(str(root))
    try:
        assert send(link) == (204, "")
        root.rename(tmp_path / "moved")
        assert send(link) == (502, f"file://{root} is gone (was it moved, or is its disk away?)")
    finally:
        process.send_signal(signal.SIGTERM)
        ended = process.ended()
    assert ended.returncode == 0
    assert f"votes and notes cannot be kept: file://{root} is gone" in ended.stderr
    assert not root.exists()
