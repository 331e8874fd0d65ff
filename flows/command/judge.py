"""`nst judge`: numbers that mean the same for every method, for pictures that are already made."""

from __future__ import annotations

import threading
from typing import Annotated, Final, Literal

import typer

from flows.command.options import RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal
from flows.counted import counted
from flows.stop import stop_signals
from nst.errors import Stopped

_SHOWN: Final = 10
"""Pictures that could not be judged and are listed."""

out = Terminal()
err = Terminal(stderr=True)


def judge(
    sweep: Annotated[str, typer.Argument(help="Name of a sweep, or the beginning of its id.")],
    squeezenet: Annotated[
        str,
        typer.Option(
            "--squeezenet", envvar="NST_SQUEEZENET", help="File of SqueezeNet 1.1's weights; by default torchvision's."
        ),
    ] = "",
    vgg19: Annotated[
        str,
        typer.Option(
            "--vgg19",
            envvar="NST_VGG19",
            help="File of VGG-19's weights; by default torchvision's, if in torch's cache.",
        ),
    ] = "",
    vgg19_input: Annotated[
        Literal["torchvision", "caffe", "caffe_bgr", ""],
        typer.Option("--vgg19-input", help="Input that VGG-19's weights expect; by default told by the weights."),
    ] = "",
    devices: Annotated[str, typer.Option("--device", help="cpu, mps or cuda:0; by default the first GPU.")] = "",
    root: RootOption = "out",
) -> None:
    """Judge the pictures of a sweep by networks that did not make them.

    No picture is computed again. What this judge has judged before is left alone; of several sweeps of one name all are
    judged. Their pages are written again.
    """
    from flows.command.progress import ProgressBar
    from tasks.models.judges import named_weights
    from tasks.pages.report import write_again
    from tasks.root import open_root
    from tasks.status import find_sweeps
    from tasks.work.devices import choose_devices
    from tasks.work.judge_sweep import judge_sweep

    opened = open_root(root, probed=True, must_exist=True)
    found = find_sweeps(opened, sweep)
    weights = named_weights(squeezenet, vgg19, vgg19_input, opened.store)
    for line in weights.missing:
        err.say(f"not at hand: {line}")
    failed, stopping = False, threading.Event()
    for status in found:
        with ProgressBar(err, "pictures") as bar, stop_signals(stopping):
            judged = judge_sweep(
                opened,
                status.sweep_id,
                weights,
                choose_devices(devices.split(","))[0],
                bar.show,
                stopped=stopping.is_set,
            )
        if judged.judged:
            out.say(f"page:     {write_again(opened, status.name, status.sweep_id, status.total).uri}")
        before = f", {judged.known:,} judged before" if judged.known else ""
        out.say(f"sweep {status.name} ({status.sweep_id[:8]}): {counted(judged.judged, 'pictures')} judged{before}")
        if judged.clips:
            out.say(f"{counted(judged.clips, 'clips')} left out: judges look at stills")
        if judged.failed:
            failed = True
            out.say(f"{counted(len(judged.failed), 'pictures')} could not be judged")
        for line in judged.failed[:_SHOWN]:
            out.say(f"  {line}")
        if stopping.is_set():
            raise Stopped(f"{judged.judged + judged.known:,} of {counted(status.done, 'pictures')} judged")
    out.say(f"catalog:  {root.rstrip('/')}/catalog/judgements")
    raise typer.Exit(1 if failed else 0)
