"""Options that commands of several files have."""

from __future__ import annotations

from typing import Annotated

import typer

RootOption = Annotated[
    str, typer.Option("--root", envvar="NST_ROOT", help="Folder or URI (s3://bucket/prefix) of pictures and catalog.")
]

DevicesOption = Annotated[
    str, typer.Option("--devices", help="Comma-separated: cpu, mps, cuda:0,cuda:1; by default all GPUs, or the CPU.")
]
