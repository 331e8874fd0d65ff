"""The `nst` command. Parses arguments, calls one function per command, prints; every import waits for its command.

Exit codes: 0 done, 1 something failed, 2 the user must change something, 130 interrupted, 70 a bug, which shows its
traceback.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console

from flows.packages import refuse_foreign_packages

refuse_foreign_packages()

from flows.command.options import RootOption  # noqa: E402, TC001  typer reads annotations at run time
from flows.command.upkeep import repair, rm  # noqa: E402
from nst.errors import ManifestError, Stopped, TransientError, UserError  # noqa: E402
from tasks.work.c_libraries import quiet_c_libraries  # noqa: E402

app = typer.Typer(
    name="nst",
    help="A declarative batch system for neural style transfer: manifests in, pictures and a catalog out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
INTERRUPTED: Final = 130
BUG: Final = 70

out = Console()
err = Console(stderr=True)

ManifestArgument = Annotated[str, typer.Argument(help="URI or path of the manifest (YAML).")]
InputsOption = Annotated[
    str, typer.Option("--inputs", help="Folder or URI for relative inputs; by default the manifest's own folder.")
]
DevicesOption = Annotated[
    str, typer.Option("--devices", help="Comma-separated: cpu, mps, cuda:0,cuda:1; by default all GPUs, or the CPU.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nst {version('nst-batch')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """A declarative batch system for neural style transfer: manifests in, pictures and a catalog out."""


@app.command()
def plan(
    manifest: ManifestArgument,
    root: RootOption = "out",
    inputs: InputsOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Show what would run, what is done already and why, how long it takes and how many bytes it writes."""
    from flows.order.request import Request, order_of
    from tasks.root import open_root

    order = order_of(Request(manifest, open_root(root), inputs, confirmed=True))
    if as_json:
        typer.echo(json.dumps(order.plan_json(), indent=2))
    else:
        out.print(order.plan_table())


@app.command()
def run(
    manifest: ManifestArgument,
    root: RootOption = "out",
    inputs: InputsOption = "",
    devices: DevicesOption = "",
    inline: Annotated[
        bool, typer.Option("--inline", help="Without Prefect: no server, no records of task runs.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Run also when the estimate exceeds budget.hours.")] = False,
) -> None:
    """Run what is not done yet. Safe to interrupt: run again and only the rest runs."""
    from flows.command.progress import ProgressBar
    from flows.here import run_here, run_inline
    from flows.order.request import Request, order_of
    from tasks.root import open_root
    from tasks.work.devices import find_devices

    chosen = tuple(part.strip() for part in devices.split(",") if part.strip()) or tuple(find_devices())
    order = order_of(Request(manifest, open_root(root, probed=True), inputs, chosen, confirmed=yes))
    with ProgressBar(err, order.noun) as bar:
        summary = (run_inline if inline else run_here)(order, bar.show, bar.show_step)
    for line in summary.lines(root):
        out.print(line, highlight=False, soft_wrap=True)
    raise typer.Exit(summary.exit_code)


@app.command()
def status(root: RootOption = "out") -> None:
    """List the sweeps under a root: done, failed, running, to do."""
    from flows.command.sweeps import print_status
    from tasks.root import open_root

    print_status(open_root(root), out)


@app.command()
def export(
    sweep: Annotated[str, typer.Argument(help="Name of a sweep, or the beginning of its id or of a model's id.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write to; made if missing.")],
    root: RootOption = "out",
) -> None:
    """Write a sweep's pictures under readable names, with a CSV; or a model's weights, with a card."""
    from flows.command.models import export_named_model
    from flows.command.sweeps import print_export
    from tasks.pages.export import export_sweep
    from tasks.root import open_root
    from tasks.status import find_sweep

    opened = open_root(root)
    if not export_named_model(opened, sweep, folder, out):
        print_export(export_sweep(opened.catalog, find_sweep(opened, sweep).sweep_id, folder), folder, out)


@app.command()
def models(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of models to compare; by default all are listed.")
    ] = None,
    root: RootOption = "out",
    as_json: Annotated[bool, typer.Option("--json", help="Print whole rows as JSON.")] = False,
) -> None:
    """List the trained models, or compare those that are named."""
    from flows.command.models import print_models
    from tasks.root import open_root

    print_models(open_root(root), ids or [], out, as_json=as_json)


@app.command("import")
def import_(
    files: Annotated[list[str], typer.Argument(help="Paths or URIs of the network's .safetensors files.")],
    name: Annotated[str, typer.Option("--name", help="Name of the model; by default the first file's name.")] = "",
    root: RootOption = "out",
) -> None:
    """Add a network that somebody else trained to the models."""
    from tasks.models.importing import import_model
    from tasks.root import open_root

    model_id = import_model(open_root(root, probed=True).catalog, files, name)
    out.print(f"model {model_id}", highlight=False)


@app.command()
def stylize(
    photo: Annotated[str, typer.Argument(help="Path or URI of a photograph, or of a mask for a doodle_net.")],
    model: Annotated[str, typer.Option("--model", help="Id of a trained model, or a .safetensors file.")] = "",
    style: Annotated[
        str, typer.Option("--style", help="A painting; without --model, the latest model that takes any style.")
    ] = "",
    output: Annotated[Path | None, typer.Option("--out", "-o", help="File to write: .png, .jpg or .webp.")] = None,
    size: Annotated[int | None, typer.Option("--size", min=16, help="Long side in pixels.")] = None,
    alpha: Annotated[float, typer.Option("--alpha", min=0, max=1, help="Strength of the style.")] = 1.0,
    devices: DevicesOption = "",
    root: RootOption = "out",
) -> None:
    """Stylize one photograph with a trained model."""
    from tasks.models.stylize import stylize_file
    from tasks.root import open_root
    from tasks.work.devices import find_devices

    device = (devices or find_devices()[0]).split(",")[0].strip()
    catalog = open_root(root).catalog
    file = stylize_file(catalog, photo, model=model, style=style, out=output, size=size, alpha=alpha, device=device)
    out.print(file, highlight=False)


@app.command()
def fsck(
    root: RootOption = "out",
    read_data: Annotated[
        float, typer.Option("--read-data", min=0, max=1, help="Share of the pictures whose bytes are read and checked.")
    ] = 1.0,
) -> None:
    """Prove that every done row has its picture, and that records, claims and segments agree."""
    from tasks.fsck.check import fsck as check
    from tasks.root import open_root

    report = check(open_root(root), read_data=read_data)
    for line in report.lines():
        out.print(line, highlight=False, soft_wrap=True)
    if report.problems:
        raise typer.Exit(1)


app.command()(repair)
app.command()(rm)


@app.command()
def schema(
    reference: Annotated[bool, typer.Option("--reference", help="Print the manifest reference as Markdown.")] = False,
    catalog: Annotated[bool, typer.Option("--catalog", help="Print the catalog's columns as Markdown.")] = False,
    training: Annotated[bool, typer.Option("--training", help="Print the schema of training manifests.")] = False,
) -> None:
    """Print the JSON Schema of sweeps or of training manifests, for editors."""
    if catalog:
        from tasks.catalog.reference import catalog_reference

        typer.echo(catalog_reference())
        return
    from nst.manifest.reference import manifest_reference
    from nst.manifest.schema import json_schema, training_schema

    shape = training_schema if training else json_schema
    typer.echo(manifest_reference() if reference else json.dumps(shape(), indent=2))


@app.command()
def samples(folder: Annotated[Path, typer.Argument(help="Folder to write to; made if missing.")]) -> None:
    """Write sample photographs, paintings and masks, and an example manifest for each method."""
    from tasks.samples import write_samples

    for path in write_samples(folder):
        out.print(path, highlight=False)


@app.command()
def doctor(root: RootOption = "out") -> None:
    """Show what devices, weights, storage and Prefect are found, and what to do."""
    from tasks.doctor import examine

    levels = set()
    for finding in examine(root):
        mark = {"ok": "[green]ok  [/]", "note": "[yellow]note[/]", "bad": "[red]bad [/]"}[finding.level]
        out.print(f"{mark} {finding.subject}: {finding.text}", highlight=False, soft_wrap=True)
        levels.add(finding.level)
    if "bad" in levels:
        raise typer.Exit(1)


def main() -> None:
    """Run the command; an error that the user can do something about becomes one clear line."""
    quiet_c_libraries()
    try:
        app()
    except SystemExit as leaving:
        if leaving.code != INTERRUPTED:  # what typer makes of KeyboardInterrupt
            raise
        leave_interrupted()
    except Stopped as stop:
        leave_interrupted(str(stop))
    except ManifestError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except TransientError as error:
        typer.echo(f"error: {error}; what is done is kept, run again for the rest", err=True)
        sys.exit(1)
    except BrokenPipeError:  # `nst plan | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception:  # noqa: BLE001  a bug
        traceback.print_exc()
        sys.exit(BUG)


def leave_interrupted(what_became: str = "") -> NoReturn:
    """Say that the command was interrupted, and leave at once: threads that still wait for a store are left behind."""
    if what_became:
        typer.echo(what_became, err=True)
    typer.echo("interrupted; what is done is kept, run again for the rest", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
