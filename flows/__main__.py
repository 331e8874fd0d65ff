"""The `nst` command. Parses arguments, calls one function per command, prints; every import waits for its command.

Exit codes: 0 done, 1 some cells failed, 2 the user must change something, 130 interrupted. Anything else is a bug and
shows its trace.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nst.errors import ManifestError, TransientError, UserError
from tasks.work.quiet import quiet_c_libraries

app = typer.Typer(
    name="nst",
    help="A declarative batch system for neural style transfer: manifests in, pictures and a catalog out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
out = Console()
err = Console(stderr=True)

Manifest = Annotated[str, typer.Argument(help="URI or path of the manifest (YAML).")]
Root = Annotated[
    str, typer.Option("--root", envvar="NST_ROOT", help="Folder or URI (s3://bucket/prefix) of pictures and catalog.")
]
Inputs = Annotated[
    str, typer.Option("--inputs", help="Folder or URI for relative inputs; by default the manifest's own folder.")
]
Devices = Annotated[
    str, typer.Option("--devices", help="Comma-separated: cpu, mps, cuda:0,cuda:1; by default all GPUs, or the CPU.")
]


@app.command()
def plan(
    manifest: Manifest,
    root: Root = "out",
    inputs: Inputs = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Show what would run, what is done already and why, how long it takes and how many bytes it writes."""
    from tasks.planning.training import kind_of

    if kind_of(manifest) == "train":
        from flows.command.models import print_training_plan

        print_training_plan(manifest, root, inputs, out, as_json=as_json)
        return
    from tasks.planning.sweep import prepare

    prepared = prepare(manifest, root, inputs=inputs, confirmed=True)
    if as_json:
        typer.echo(json.dumps(prepared.plan.to_json(), indent=2))
        return
    from flows.command.show import plan_table

    out.print(plan_table(prepared))


@app.command()
def run(
    manifest: Manifest,
    root: Root = "out",
    inputs: Inputs = "",
    devices: Devices = "",
    inline: Annotated[
        bool, typer.Option("--inline", help="Without Prefect: no server, no records of task runs.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Run also when the estimate exceeds budget.hours.")] = False,
) -> None:
    """Run what is not done yet. Safe to interrupt: run again and only the rest runs."""
    from flows.command.progress import ProgressBar
    from flows.command.show import summary_lines
    from flows.order.request import Request
    from tasks.planning.training import kind_of
    from tasks.work.workers import find_devices

    chosen = tuple(part.strip() for part in devices.split(",") if part.strip())
    request = Request(manifest, root, inputs, chosen or tuple(find_devices()), confirmed=yes)
    if kind_of(manifest) == "train":
        from flows.command.models import run_training_command

        raise typer.Exit(run_training_command(request, out, err, inline=inline))
    with ProgressBar(err) as bar:
        if inline:
            from flows.inline import run_inline

            summary = run_inline(request, bar.cells, bar.step)
        else:
            from flows.here import run_here

            summary = run_here(request, bar.cells, bar.step)
    for line in summary_lines(summary, request.root):
        out.print(line, highlight=False, soft_wrap=True)
    if summary.failed:
        raise typer.Exit(1)


@app.command()
def status(root: Root = "out") -> None:
    """List the sweeps under a root: done, failed, running, to do."""
    from flows.command.show import status_table
    from tasks.catalog import Catalog
    from tasks.status import sweep_statuses
    from tasks.store import open_store

    store = open_store(root)
    statuses = sweep_statuses(store, Catalog(store))
    out.print(status_table(statuses) if statuses else f"no sweep has been submitted to {store.uri}")


@app.command()
def export(
    sweep: Annotated[str, typer.Argument(help="Name of a sweep, or the beginning of its id or of a model's id.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write to; made if missing.")],
    root: Root = "out",
) -> None:
    """Write a sweep's pictures under readable names, with a CSV; or a model's weights, with a card."""
    from tasks.catalog import Catalog
    from tasks.pages.export import export_sweep
    from tasks.status import find_sweep
    from tasks.store import open_store

    store = open_store(root)
    catalog = Catalog(store)
    from flows.command.models import export_named_model

    if export_named_model(catalog, sweep, folder, out):
        return
    count = export_sweep(catalog, find_sweep(store, catalog, sweep).sweep_id, folder)
    out.print(f"{count} pictures and catalog.csv in {folder}", highlight=False)


@app.command()
def models(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of models to compare; by default all are listed.")
    ] = None,
    root: Root = "out",
    as_json: Annotated[bool, typer.Option("--json", help="Print whole rows as JSON.")] = False,
) -> None:
    """List the trained models, or compare those that are named."""
    from flows.command.models import print_models

    print_models(root, ids or [], out, as_json=as_json)


@app.command("import")
def import_(
    files: Annotated[list[str], typer.Argument(help="Paths or URIs of its .safetensors files.")],
    name: Annotated[str, typer.Option("--name", help="What to call it; by default the first file's name.")] = "",
    root: Root = "out",
) -> None:
    """Add a network that somebody else trained to the models."""
    from tasks.catalog import Catalog
    from tasks.maintenance import single_publisher
    from tasks.models.importing import import_model
    from tasks.store import open_store

    catalog = Catalog(open_store(root), single_publisher=single_publisher(root))
    out.print(f"model {import_model(catalog, files, name)}", highlight=False)


@app.command()
def stylize(
    photo: Annotated[str, typer.Argument(help="Path or URI of a photograph, or of a mask for a doodle_net.")],
    model: Annotated[str, typer.Option("--model", help="Id of a trained model, or a .safetensors file.")] = "",
    style: Annotated[str, typer.Option("--style", help="A painting; without --model by the latest AdaIN.")] = "",
    output: Annotated[Path | None, typer.Option("--out", "-o", help="File to write: .png, .jpg or .webp.")] = None,
    size: Annotated[int | None, typer.Option("--size", min=16, help="Long side in pixels.")] = None,
    alpha: Annotated[float, typer.Option("--alpha", min=0, max=1, help="Strength of the style.")] = 1.0,
    devices: Devices = "",
    root: Root = "out",
) -> None:
    """Stylize one photograph with a trained model."""
    from tasks.catalog import Catalog
    from tasks.models.stylize import stylize_file
    from tasks.store import open_store
    from tasks.work.workers import find_devices

    device = (devices or find_devices()[0]).split(",")[0].strip()
    catalog = Catalog(open_store(root))
    file = stylize_file(catalog, photo, model=model, style=style, out=output, size=size, alpha=alpha, device=device)
    out.print(file, highlight=False)


@app.command()
def fsck(
    root: Root = "out",
    read_data: Annotated[
        float, typer.Option("--read-data", min=0, max=1, help="Share of the pictures whose bytes are read and checked.")
    ] = 1.0,
) -> None:
    """Prove that every done row has its picture, and that records, claims and segments agree."""
    from tasks.fsck.check import fsck as check
    from tasks.store import open_store

    report = check(open_store(root), read_data=read_data)
    for line in report.lines():
        out.print(line, highlight=False, soft_wrap=True)
    if report.problems:
        raise typer.Exit(1)


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
    from nst.manifest.reference import json_schema, manifest_reference, training_schema

    shape = training_schema if training else json_schema
    typer.echo(manifest_reference() if reference else json.dumps(shape(), indent=2))


@app.command()
def samples(folder: Annotated[Path, typer.Argument(help="Folder to write to; made if missing.")]) -> None:
    """Write a handful of sample photographs and paintings."""
    from tasks.samples import write_samples

    for path in write_samples(folder):
        out.print(path, highlight=False)


@app.command()
def doctor(root: Root = "out") -> None:
    """Tell what devices, weights, storage and Prefect are found, and what to do."""
    from tasks.doctor import examine

    bad = False
    for finding in examine(root):
        mark = {"ok": "[green]ok  [/]", "note": "[yellow]note[/]", "bad": "[red]bad [/]"}[finding.level]
        out.print(f"{mark} {finding.subject}: {finding.text}", highlight=False, soft_wrap=True)
        bad = bad or finding.level == "bad"
    if bad:
        raise typer.Exit(1)


def main() -> None:
    """Run the command and turn errors that the user can mend into one clear line."""
    quiet_c_libraries()
    try:
        app()
    except ManifestError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except TransientError as error:
        typer.echo(f"error: {error}; what is done is kept, run again for the rest", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("interrupted; what is done is kept, run again for the rest", err=True)
        sys.exit(130)
    except BrokenPipeError:  # `nst plan | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
