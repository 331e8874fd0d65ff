"""`nst init`: a first manifest for the pictures and the device at hand, whose size and steps fit a coffee break."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flows.command.options import RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal
from flows.counted import counted

if TYPE_CHECKING:
    from flows.order.sweep import SweepOrder

_QUALITIES: Final = ((192, 40), (256, 60), (256, 120), (384, 150), (512, 200), (768, 300), (1024, 500))
"""Size in pixels and steps, the least first; the first is still clearly a painting."""

_TEXT: Final = """\
# {summary}
# Written by `nst init`. `nst schema --reference` tells every key.
name: {name}

# Photographs and paintings: a file, a glob such as photos/*.jpg, a folder ending in "/", or a list of these.
contents: {contents}
styles: {styles}

method:
  name: gatys                      # or mrf, which takes over whole forms of a painting, texture, and others
  size: {size:<4}                       # pixels of the long side; twice as many take about four times as long
  steps: {steps:<4}                      # more of them make finer strokes
  backbone: {{weights: embedded}}    # comes with nst; without this line the larger VGG-19 is downloaded (548 MB)

# Every combination of these values is a picture. Any setting of the method may vary.
sweep:
  style_weight: [3, 30]            # a little of the painting, and a lot
  # content_layers: [relu3_1, relu4_1]
"""

out, err = Terminal(), Terminal(stderr=True)


def init(
    contents: Annotated[str, typer.Argument(help="Photographs: a folder, a glob, a file or a URI.")],
    styles: Annotated[str, typer.Argument(help="Paintings, likewise.")],
    file: Annotated[Path, typer.Argument(help="Manifest to write.")] = Path("sweep.yaml"),
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="How long the sweep may take here.")] = 10,
    root: RootOption = "out",
) -> None:
    """Write a first manifest for your pictures.

    Size and steps are the largest that this machine paints within --minutes, found by trying for some seconds.
    """
    from flows.order.summary import duration
    from tasks.devices import find_devices
    from tasks.inputs.base_uri import BaseUri
    from tasks.inputs.images import find_images

    _check(contents, styles, file)
    uris = [_relative_to(file.parent, uri) for uri in (contents, styles)]
    base = BaseUri.of(str(file), root=root)
    photographs, paintings = (len(find_images(uri, base)) for uri in uris)
    device = find_devices()[0]

    def text(size: int, steps: int, summary: str = "") -> str:
        shown = {"contents": _quoted(uris[0]), "styles": _quoted(uris[1]), "name": _name(file.stem)}
        return _TEXT.format(**shown, size=size, steps=steps, summary=summary)

    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder, "trial.yaml")

        def planned(size: int, steps: int) -> SweepOrder:
            trial.write_text(text(size, steps), encoding="utf-8")
            return _planned(trial, file.parent, root)

        order = planned(*_QUALITIES[0])
        if order.prepared.plan.seconds is None or order.prepared.plan.unknown:
            err.say(f"trying out what {device} paints in a second")
            order.calibrate()
        chosen = _QUALITIES[0]
        for quality in _QUALITIES:
            order = planned(*quality)
            if (order.prepared.plan.seconds or 0.0) <= minutes * 60:
                chosen = quality
        plan = planned(*chosen).prepared.plan
    factors = f"{counted(photographs, 'photographs')} x {counted(paintings, 'paintings')} x 2 weights"
    counts = f"{factors} = {counted(plan.total, 'pictures')}"
    time = "done already" if not plan.to_do else f"about {duration(plan.seconds)} on {device}" if plan.seconds else ""
    summary = ", ".join(filter(None, (f"{counts} of {chosen[0]} px", time)))
    file.write_text(text(*chosen, summary), encoding="utf-8")
    out.say(f"wrote {file}: {summary}")
    if plan.seconds and plan.seconds > minutes * 60:
        out.say(f"that is more than {minutes:g} min at the least size: name fewer pictures, or let it run and stop it")
    out.say(f"next: nst run {file}")


def _check(contents: str, styles: str, file: Path) -> None:
    """Refuse what no manifest can be made of, before anything is tried out.

    Raises:
        UserError: A name is empty, the file exists, or its folder cannot be written to.
    """
    from nst.errors import UserError

    if not contents or not styles:
        raise UserError("found an empty name", hint="nst init PHOTOGRAPHS PAINTINGS FILE")
    if file.exists():
        raise UserError(f"{file} exists already", hint="name another file: nst init PHOTOGRAPHS PAINTINGS FILE")
    if not os.access(file.parent, os.W_OK):
        raise UserError(f"{file.parent} is no folder that can be written to", hint="make it, or name another one")


def _planned(manifest: Path, folder: Path, root: str) -> SweepOrder:
    from flows.order.request import Request, order_of
    from flows.order.sweep import SweepOrder
    from tasks.root import open_root

    order = order_of(Request(str(manifest), open_root(root), str(folder), confirmed=True))
    assert isinstance(order, SweepOrder)
    return order


def _relative_to(folder: Path, uri: str) -> str:
    """Return what a manifest in a folder calls what this process calls `uri`; folders end in a slash."""
    if "://" in uri:
        return uri
    relative = os.path.relpath(uri, folder) if not Path(uri).is_absolute() else uri
    return f"{relative.rstrip('/')}/" if Path(uri).is_dir() else relative


def _name(stem: str) -> str:
    """Return the stem of a file as a name that a manifest may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("._-")[:100] or "sweep"


def _quoted(text: str) -> str:
    """Return a text as YAML, with quotes only where it needs them."""
    from nst.yaml.text import dump

    return text if text.replace("/", "").replace("_", "").replace(".", "").isalnum() else dump(text)
