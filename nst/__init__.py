"""Truth: maths, settings, manifest grammar, planning. No Prefect, storage, tables, environment or printing.

    import nst

    done = nst.run("first.yaml")                # or the manifest as a dictionary
    frame = nst.results(sweep="first")          # a pandas DataFrame, one row per cell
    nst.grid(frame, rows=["content_name", "style_name"], columns="style_weight")  # the pictures, in a notebook
    nst.picture(frame.iloc[0])                  # one of them, as a PIL image
    nst.ranking("style_weight")                 # what blind votes say; nst.votes and nst.notes are tables

These functions and `nst.plan` are those of `flows.api`, which is imported when the first of them is used: `import nst`
alone loads no more than `nst.errors`.
"""

from typing import TYPE_CHECKING, Any

from nst import errors

if TYPE_CHECKING:
    from flows.api import grid, notes, picture, plan, ranking, results, run, votes

__all__ = ["errors", "grid", "notes", "picture", "plan", "ranking", "results", "run", "votes"]


def __getattr__(name: str) -> Any:
    """Return a function of `flows.api`: the one name of an upper package that anything in `nst` may reach."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from flows import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
