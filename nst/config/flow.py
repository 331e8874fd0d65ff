"""The names of the ways to find the motion between two frames. Never imports torch or OpenCV."""

from __future__ import annotations

from typing import Literal

FlowPreset = Literal["dis_ultrafast", "dis_fast", "dis_medium", "raft_small", "raft_large"]
