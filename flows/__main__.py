"""The `nst` command. Parses arguments, calls one function per command, prints; every import waits for its command.

Exit codes: 0 done, 1 something failed, 2 the user must change something, 130 interrupted, 70 a bug, which shows its
traceback.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.command.terminal import Terminal
from flows.packages import refuse_foreign_packages

refuse_foreign_packages()

from flows.command.bench import bench  # noqa: E402
from flows.command.cancel import cancel  # noqa: E402
from flows.command.compare import compare  # noqa: E402
from flows.command.export import export  # noqa: E402
from flows.command.gallery import gallery  # noqa: E402
from flows.command.inbox import inbox  # noqa: E402
from flows.command.init import init  # noqa: E402
from flows.command.judge import judge  # noqa: E402
from flows.command.leaving import leave_by  # noqa: E402
from flows.command.options import RootOption  # noqa: E402, TC001  typer reads annotations at run time
from flows.command.run import plan, run  # noqa: E402
from flows.command.show import show  # noqa: E402
from flows.command.stack import down, up  # noqa: E402
from flows.command.status import status  # noqa: E402
from flows.command.stylize import stylize  # noqa: E402
from flows.command.submit import submit  # noqa: E402
from flows.command.upkeep import repair, rm  # noqa: E402
from flows.command.work import work  # noqa: E402
from tasks.work.c_libraries import quiet_c_libraries  # noqa: E402

app = typer.Typer(
    name="nst",
    help="A declarative batch system for neural style transfer: manifests in, pictures and a catalog out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Terminal()
err = Terminal(stderr=True)


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
def samples(folder: Annotated[Path, typer.Argument(help="Folder to write to; made if missing.")]) -> None:
    """Write sample pictures and example manifests.

    Photographs, paintings and masks, and a manifest for each method and family.
    """
    from tasks.samples import write_samples

    for path in write_samples(folder):
        out.say(path)


app.command()(init)


app.command()(plan)
app.command()(run)
app.command()(submit)
app.command()(work)
app.command()(cancel)
app.command()(inbox)
app.command()(up)
app.command()(down)


app.command()(status)
app.command()(gallery)


app.command()(export)
app.command()(show)
app.command()(compare)
app.command()(judge)


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

    print_models(open_root(root, must_exist=True), ids or [], out, as_json=as_json)


@app.command("import")
def import_(
    files: Annotated[
        list[str], typer.Argument(help="The network's files: .safetensors, .pth of PyTorch, or .t7 of torch7.")
    ],
    name: Annotated[str, typer.Option("--name", help="Name of the model; by default the first file's name.")] = "",
    style: Annotated[
        str, typer.Option("--style", help="The image that a network of one style was trained for, where you have it.")
    ] = "",
    root: RootOption = "out",
) -> None:
    """Add a network that somebody else trained to the models."""
    from tasks.models.importing import import_model
    from tasks.root import open_root

    imported = import_model(open_root(root, probed=True).catalog, files, name, style)
    out.say(f"model {imported.model_id}")
    if imported.untried:
        out.say(f"nst was tried on no file of {imported.untried}: compare a picture with one by its own program")


app.command()(stylize)


@app.command()
def fsck(
    root: RootOption = "out",
    read_data: Annotated[
        float, typer.Option("--read-data", min=0, max=1, help="Share of the pictures whose bytes are read and checked.")
    ] = 1.0,
) -> None:
    """Prove that the root is whole.

    Every row has its picture, with its digest; and what the catalog is made of (commit records, the log of claims, and
    Parquet segments) agrees.
    """
    from tasks.fsck.check import fsck as check
    from tasks.root import open_root

    report = check(open_root(root, must_exist=True), read_data=read_data)
    for line in report.lines():
        out.say(line)
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
    """Print the JSON Schema of manifests.

    Editors check manifests as you type with it; or print the reference of all keys or columns.
    """
    if catalog:
        from tasks.catalog.reference import catalog_reference

        typer.echo(catalog_reference())
        return
    from nst.manifest.reference import manifest_reference
    from nst.manifest.schema import json_schema, training_schema

    shape = training_schema if training else json_schema
    typer.echo(manifest_reference() if reference else json.dumps(shape(), indent=2))


@app.command()
def runs(
    number: Annotated[
        int,
        typer.Option(
            "--database",
            min=0,
            help="Which database of past runs: of runs at one time, each writes one of its own, numbered from 0.",
        ),
    ] = 0,
) -> None:
    """Show Prefect's pages of past runs, until Control-C."""
    from flows.command.runs import show_past_runs

    show_past_runs(number, out)


@app.command()
def doctor(root: RootOption = "out") -> None:
    """Examine devices, weights, storage, Prefect.

    Says what is found, and what to do about it.
    """
    from rich.text import Text

    from tasks.doctor import examine

    levels = set()
    for finding in examine(root):
        color = {"ok": "green", "note": "yellow", "bad": "red"}[finding.level]
        out.print(Text(f"{finding.level:4}", color), f"{finding.subject}: {finding.text}", soft_wrap=True)
        levels.add(finding.level)
    if "bad" in levels:
        raise typer.Exit(1)


app.command()(bench)


def main() -> None:
    """Run the command; an error that the user can do something about becomes one clear line."""
    quiet_c_libraries()
    leave_by(app, err)


if __name__ == "__main__":
    main()
