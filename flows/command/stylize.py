"""`nst stylize`: one photograph or one clip through a trained network, from a file to a file."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads annotations at run time
from typing import Annotated

import typer

from flows.command.options import DevicesOption, RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal

out = Terminal()
err = Terminal(stderr=True)


def stylize(
    photo: Annotated[str, typer.Argument(help="Path or URI of a photograph or clip, or of a mask for a doodle_net.")],
    *,
    model: Annotated[str, typer.Option("--model", help="Id of a trained model, or a .safetensors file.")] = "",
    style: Annotated[
        str, typer.Option("--style", help="A painting; without --model, the latest model that takes any style.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write: .png, .jpg, .webp; of a clip .mp4, ..."),
    ] = None,
    size: Annotated[int | None, typer.Option("--size", min=16, help="Long side in pixels.")] = None,
    alpha: Annotated[float, typer.Option("--alpha", min=0, max=1, help="Strength of the style.")] = 1.0,
    devices: DevicesOption = "",
    root: RootOption = "out",
) -> None:
    """Stylize one photograph or one clip with a trained model."""
    from tasks.clips.kinds import is_clip
    from tasks.models.stylize import Painter, stylize_file
    from tasks.root import open_root
    from tasks.work.devices import choose_devices

    device = choose_devices(devices.split(","))[0]
    painter = Painter(open_root(root).catalog, model=model, style=style, size=size, alpha=alpha, device=device)
    if not is_clip(photo):
        out.say(stylize_file(painter, photo, style, output))
        return
    from flows.command.progress import ProgressBar
    from tasks.work.clip_file import stylize_clip  # needs the extra `video`

    with ProgressBar(err, "frames") as bar:
        clip = stylize_clip(painter, photo, style, output, on_frame=bar.show)
    out.say(clip.path)
    out.say(f"{clip.frames} frame{'s' * (clip.frames != 1)}, {clip.frames / clip.seconds:.1f} a second")
