"""Judges the pictures of a sweep that were made before: no picture is computed again."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from nst.errors import InputError, NumericalError
from nst.pictures.images import Pixels, decode
from nst.recent import Recent, bytes_of
from nst.records import ImageRef
from nst.yaml.json_text import from_json
from tasks.inputs.reading import check_planned, read_pixels
from tasks.layout import picture_key
from tasks.models.judges import build_judge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nst.config.judgement import JudgeIdentity
    from nst.judges import Judge
    from tasks.catalog import Catalog
    from tasks.models.judges import JudgeWeights
    from tasks.root import Root

_COLUMNS: Final = (
    "cell_id", "content_uri", "content_digest", "style_uris", "style_digests", "style_weights", "picture_digest",
    "picture_format", "backbone", "clip_frames",
)  # fmt: skip

_AT_ONCE: Final = 32
"""Judgements that are committed together."""

_PUBLISH_EVERY_S: Final = 60.0
"""Judgements reach the table at least this often."""

_ROOM: Final = 2**29
"""Bytes of decoded content and style images that are kept, at least one."""


@dataclass(slots=True)
class Judged:
    """What became of the pictures of a sweep.

    Attributes:
        judged: Number of pictures that were judged now.
        known: Number of pictures that this judge had judged before.
        clips: Number of clips, which are not judged: judges look at stills.
        failed: One line for each picture that could not be judged.
    """

    judged: int = 0
    known: int = 0
    clips: int = 0
    failed: list[str] = field(default_factory=list)


def judge_sweep(
    root: Root,
    sweep_id: str,
    weights: JudgeWeights,
    device: str,
    on_picture: Callable[[int, int], None],
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Judged:
    """Judge every picture of a sweep that this judge has not judged yet, and publish the judgements.

    Judgements are committed a few at a time: what is done before a stop is kept, and the next call goes on from there.

    Args:
        root: The root.
        sweep_id: Id of the sweep; its pictures may have been made by others.
        weights: Weights of the judge.
        device: A torch device.
        on_picture: Called with (number of pictures looked at, number of all that are to be judged).
        stopped: Returns whether to stop before the next picture.

    Raises:
        InputError: A file of weights cannot be used.
        StorageError: The store did not answer.
    """
    catalog = root.catalog
    cells = catalog.read("sweeps", ["sweep_id", "cell_id"], where=("sweep_id", {sweep_id}))["cell_id"]
    rows = catalog.read("results", _COLUMNS, where=("cell_id", set(cells.to_pylist()))).to_pylist()
    clips = sum(row["clip_frames"] is not None for row in rows)
    rows = [row for row in rows if row["clip_frames"] is None]  # judges look at stills
    judge, identity = build_judge(weights, device)
    known = catalog.keys("judgements", "judgement_id")
    waiting = [row for row in rows if _judgement_id(row, identity) not in known]
    waiting.sort(key=lambda row: (row["content_digest"] or "", row["style_digests"] or ""))
    report = Judged(known=len(rows) - len(waiting), clips=clips)
    images: Recent[Pixels] = Recent(_ROOM, bytes_of)
    published = time.monotonic()
    found: list[dict[str, Any]] = []
    try:
        for number, row in enumerate(waiting, start=1):
            if stopped():
                break
            try:
                found.append(_judgement(root, row, judge, identity, images))
            except (InputError, NumericalError, FileNotFoundError) as error:
                report.failed.append(f"{row['cell_id'][:8]}: {error}")
            on_picture(number, len(waiting))
            if len(found) == _AT_ONCE:
                report.judged += _commit(catalog, sweep_id, found)
                found = []
            if time.monotonic() - published > _PUBLISH_EVERY_S:
                catalog.publish("judgements")
                published = time.monotonic()
    finally:  # what is judged is kept, whatever ended it
        report.judged += _commit(catalog, sweep_id, found)
        catalog.publish("judgements")
    return report


def _commit(catalog: Catalog, sweep_id: str, found: list[dict[str, Any]]) -> int:
    """Commit judgements and return their number."""
    if found:
        catalog.commit("judgements", sweep_id, f"{found[0]['judge']}-{found[0]['judgement_id']}", found)
    return len(found)


def _judgement(
    root: Root, row: dict[str, Any], judge: Judge, identity: JudgeIdentity, images: Recent[Pixels]
) -> dict[str, Any]:
    """Return the row of `judgements` of one picture.

    Raises:
        InputError: An image is not there any more, or is another one.
        FileNotFoundError: The picture is gone.
    """
    key = picture_key(row["picture_digest"], row["picture_format"])
    data = root.store.get(key)
    check_planned(root.store.url(key), hashlib.sha256(data).hexdigest(), row["picture_digest"])
    content = _image(row["content_uri"], row["content_digest"], images) if row["content_uri"] else None
    uris, digests = (from_json(row[name] or "[]") for name in ("style_uris", "style_digests"))
    styles = [_image(uri, digest, images) for uri, digest in zip(uris, digests, strict=True)]
    weights: Sequence[float] | None = from_json(row["style_weights"] or "null")
    network = row["backbone"]
    return {
        "judgement_id": _judgement_id(row, identity),
        "cell_id": row["cell_id"],
        "picture_digest": row["picture_digest"],
        "judged_at": datetime.now(UTC),
        "vgg_neutral": not network.startswith("vgg") if network else None,
        **judge.measure(decode(data), content, styles, weights),
        **identity.columns,
        "judge_neutral": network != "squeezenet",
    }


def _image(uri: str, digest: str, images: Recent[Pixels]) -> Pixels:
    return images.get(digest, lambda: read_pixels(ImageRef(name="", uri=uri, digest=digest)))


def _judgement_id(row: dict[str, Any], identity: JudgeIdentity) -> str:
    about = f"{row['cell_id']} {row['picture_digest']} {identity.digest}"
    return hashlib.sha256(about.encode()).hexdigest()[:32]
