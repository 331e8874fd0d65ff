"""How the motion between two frames is found: the names that a manifest may give, without OpenCV and torch."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

DisPreset = Literal["dis_ultrafast", "dis_fast", "dis_medium"]
"""Dense inverse search of OpenCV, which needs no weights."""

RaftPreset = Literal["raft_small", "raft_large"]
"""The networks of torchvision, which need weights."""

FlowPreset = Literal[DisPreset, RaftPreset]
"""Names of all ways to find optical flow."""

DEFAULT_FLOW: Final[DisPreset] = "dis_fast"

Flow = Annotated[
    FlowPreset,
    Field(
        description="How the motion between two frames is found (optical flow). `dis_ultrafast`, `dis_fast`, "
        "`dis_medium`: dense inverse search (Kroeger et al. 2016), OpenCV's presets, which need no weights. "
        "`raft_small`, `raft_large`: the networks of torchvision (Teed & Deng 2020), slower, whose weights must lie in "
        "torch's cache: nst does not fetch them, and has tried random ones alone. Warping errors are comparable only "
        "between clips with the same preset."
    ),
]
"""A setting that names one of them."""
