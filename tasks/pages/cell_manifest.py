"""The manifest of one cell, from its row in the catalog: run as it stands, it makes this very picture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from nst.config.backbone import NAMED
from nst.config.video import OF_CLIPS
from nst.errors import InputError
from nst.pictures.images import read_provenance
from nst.yaml.json_text import from_json
from nst.yaml.text import dump
from tasks.catalog import parameters
from tasks.pages.gallery.settings import places
from tasks.pages.gallery.sources import output, sources
from tasks.pages.gallery.values import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a manifest may call a picture; another name is found again by itself, since it is that of the file."""


def manifest_text(row: Mapping[str, Any], picture: bytes = b"") -> str:
    """Return the YAML that makes a cell again, with what it is as a comment.

    It has the name of the sweep that computed the cell, and the names of the images there: the file of a picture tells
    them, and is the same to the bit only with the same ones.

    Args:
        row: A row of `results` or `failures`, JSON as text.
        picture: The file of the picture, which tells what was left to defaults and words such as `size: original`, of
            which the row holds what came of them; b"" where it is a clip or at hand no more.
    """
    digest = plain(row.get("picture_digest"))
    made = f"picture {digest}" if digest else "failed"
    heading = f"# cell {row['cell_id']}, {made}, nst {plain(row.get('nst_version')) or 'of an unknown version'}"
    return "\n".join([heading, *_lines(cell_manifest(row, _told_by(picture)))]) + "\n"


def cell_manifest(row: Mapping[str, Any], told: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the same as a dictionary; `told` is what the picture's file tells."""
    told = told or {}
    source = sources([row], "")["values"][0]
    names = {kind: told.get(kind) or row.get(f"{kind}_name") for kind in ("content", "style")}
    found: dict[str, Any] = {"name": row.get("sweep_name") or f"cell-{row['cell_id'][:12]}"}
    content = _without_nothing(
        {
            "video" if source.get("clip") else "uri": source["content"],
            **source.get("clip", {}),
            "mask": source["mask"],
        }
    )
    if content:
        found["contents"] = [content | _named(names["content"])]
    if source["styles"]:
        found["styles"] = [_style(source, names["style"])]
    found["method"] = _method(row, told.get("config") or {}, is_clip="clip" in source)
    encoded = output(row)
    return found | ({"output": encoded} if encoded else {})


def _style(source: Mapping[str, Any], name: Any) -> dict[str, Any]:
    """Return the style of a cell: one image, or a mix of several."""
    weights = source["weights"] or [1.0] * len(source["styles"])
    images = [
        _without_nothing(
            {
                "uri": uri,
                "mask": source["masks"][number] if source["masks"] else None,
                "weight": weights[number],
                "scale": source["scales"][number] if source["scales"] and source["scales"][number] != 1.0 else None,
            }
        )
        for number, uri in enumerate(source["styles"])
    ]
    if len(images) > 1 or source["mix"] == "sum":
        return {**(_named(name) or {"name": "style"}), "mix": source["mix"] or "targets", "images": images}
    return {key: value for key, value in images[0].items() if key != "weight"} | _named(name)


def _told_by(picture: bytes) -> dict[str, Any]:
    """Return what the file of a picture tells of its cell, {} if it tells nothing."""
    try:
        told: dict[str, Any] = dict(read_provenance(picture))
        config = from_json(told.get("config", "{}"))
    except (InputError, ValueError):  # a clip, or damaged
        return {}
    return told | {"config": config if isinstance(config, dict) else {}}


def _method(row: Mapping[str, Any], asked: Mapping[str, Any], *, is_clip: bool) -> dict[str, Any]:
    """Return the settings of a cell as its manifest nests them; `asked` are those that its picture tells."""
    tree: dict[str, Any] = {}
    types = {column.name: column.type for column in parameters.columns()}
    for column, place in places(row["method"]).items():
        value = plain(row.get(column), types.get(column, "string"))  # pandas makes floats of whole numbers
        if value is None or (place.keys[0] in OF_CLIPS and not is_clip):
            continue
        if column == "backbone_input" and row.get("backbone_weights") in set(NAMED) - {"torchvision"}:
            continue  # it follows from the weights
        if isinstance(value, str) and place.structured and value.startswith(("[", "{")):
            value = from_json(value)
        wish = _at(asked, place.keys)
        if wish is None:
            continue  # what the row holds follows from the rest
        value = wish if isinstance(wish, str) and not isinstance(value, str) else value  # such as `original`
        node = tree
        for key in place.keys[:-1]:
            node = node.setdefault(key, {})
        node[place.keys[-1]] = value
    if model := plain(row.get("model_id")):  # what was written, such as `latest`, may mean another one elsewhere
        tree["model"] = model
    if model := plain(row.get("finish_model_id")):
        tree["finish"] = {"model": model}
    return tree


def _at(settings: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """Return the value of nested settings, and () where there is none."""
    found: Any = settings
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            return ()
        found = found[key]
    return found


def _named(name: Any) -> dict[str, str]:
    return {"name": name} if isinstance(name, str) and _NAME.fullmatch(name) else {}


def _without_nothing(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _lines(tree: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Yield the lines of a mapping: mappings of settings over several lines, everything else as JSON, which is YAML."""
    for key, value in tree.items():
        if isinstance(value, dict) and not key.endswith("_layers"):
            yield f"{indent}{key}:"
            yield from _lines(value, f"{indent}  ")
        elif key in {"contents", "styles"}:
            yield f"{indent}{key}:"
            yield from (f"{indent}  - {_flow(item)}" for item in value)
        else:
            yield f"{indent}{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{dump(key)}: {_flow(item)}' for key, item in value.items())}}}"
    return f"[{', '.join(map(_flow, value))}]" if isinstance(value, list) else dump(value)
