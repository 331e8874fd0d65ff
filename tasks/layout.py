"""Where pictures, models and checkpoints lie below a root. The keys of the catalog: `tasks.catalog.layout`.

pictures/<ab>/<sha256>.<format>                                      pictures
thumbs/<ab>/<sha256>.webp                                            their thumbnails, by the digest of the picture
thumbs/<ab>/<sha256>.mp4, .content.mp4                               copies of clips and of their contents for the page
previews/<ab>/<cell_id>/<steps>.webp                                 pictures of a cell after so many steps
models/<ab>/<sha256>.safetensors                                     weights of trained models
models/samples/<model_id>/<steps>.jpg                                validation pictures above their stylized versions
models/evidence/<model_id>/attempt-<n>.json, .png                    last losses and picture of an unhealthy training
state/trainings/<model_id>/checkpoint-<steps>-<digest>.safetensors   all that a training needs to go on
inbox/<name>.yaml, <name>.yaml.report.txt                            manifests that people lay there, and the answers
inputs/<sha256>.<suffix>                                             copies of submitted inputs (`nst submit`)
manifests/<name>-<id>.yaml                                           texts of the manifests that were run
gallery/<name>-<id>/                                                 pages of the sweeps
gallery/together/, gallery/together-<digest>/                        pages of all sweeps, and of several by their names
gallery/together*/sweeps.json                                        ids of the sweeps that such a page shows
state/clips/<sha256>.json                                            what clips hold, by the digest of their file
state/clock/<random>                                                 there for a moment, to learn the store's time
state/removals/<id>.json                                             sweeps whose removal has begun and not ended
state/running/<sweep_id>/<participant>.json                          heartbeats of runs of a sweep, or `trainings`
state/plans/<id>[-<scope>].json                                      plans of open sweeps and trainings
state/withdrawn/<sweep_id>.json                                       notes that sweeps were withdrawn
state/hindrances/<id>/<machine>.json                                  why machines cannot take part in what is open
state/claims/<sweep_id>[-<scope>]/<stretch>-<generation>.json        which of them does what (`tasks.claims`)

Pictures and weights are named by the digest of their bytes, so that writing them twice is harmless and a root may be
copied or moved whole. Previews are named by their cell, which determines them: a cell that was interrupted writes them
again, and the row of a cell that is done says which it has.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

INBOX: Final = "inbox/"
INPUTS: Final = "inputs/"
PICTURES: Final = "pictures/"
THUMBNAILS: Final = "thumbs/"
PREVIEWS: Final = "previews/"
MODELS: Final = "models/"
SAMPLES: Final = "models/samples/"
TRAININGS: Final = "state/trainings/"
PAGES: Final = "gallery/"
CLOCK: Final = "state/clock/"
REMOVALS: Final = "state/removals/"
TOGETHER: Final = "gallery/together"
SHOWN_SWEEPS: Final = "sweeps.json"

_CHECKPOINT: Final = re.compile(r"state/trainings/([^/]+)/checkpoint-(\d{9})-([0-9a-f]{16})\.safetensors")


class CheckpointKey(NamedTuple):
    """What the key of a checkpoint says."""

    model_id: str
    steps: int
    digest: str
    """The first 16 hex digits of the SHA-256 of its bytes."""


def input_key(digest: str, suffix: str) -> str:
    """Return the key of the copy of an input, given the digest of its bytes and the suffix of its file's name."""
    return f"{INPUTS}{digest}{suffix.lower()}"


def picture_key(digest: str, form: str) -> str:
    """Return the key of a picture, given the digest of its bytes and its format."""
    return f"{PICTURES}{digest[:2]}/{digest}.{form}"


def thumbnail_key(digest: str) -> str:
    """Return the key of the thumbnail of the picture with this digest."""
    return f"{THUMBNAILS}{digest[:2]}/{digest}.webp"


def copy_key(digest: str, *, content: bool = False) -> str:
    """Return the key of a copy for the page of the clip with this digest, or of the content that it was made from."""
    return thumbnail_key(digest).removesuffix(".webp") + (".content.mp4" if content else ".mp4")


def previews(cell_id: str) -> str:
    """Return the prefix of the previews of a cell; the page makes it from the id, too (`gallery/steps.js`)."""
    return f"{PREVIEWS}{cell_id[:2]}/{cell_id}/"


def preview_key(cell_id: str, steps: int) -> str:
    """Return the key of the preview of a cell after this many steps."""
    return f"{previews(cell_id)}{steps}.webp"


def weights_key(digest: str) -> str:
    """Return the key of a trained model's weights, given the digest of their bytes."""
    return f"{MODELS}{digest[:2]}/{digest}.safetensors"


def samples_key(model_id: str, steps: int) -> str:
    """Return the key of a model's sample pictures after this many steps."""
    return f"{SAMPLES}{model_id}/{steps:09d}.jpg"


def evidence_key(model_id: str, attempt: int, suffix: str) -> str:
    """Return the key of what an unhealthy training left: its last losses (`json`) or its last picture (`png`)."""
    return f"{MODELS}evidence/{model_id}/attempt-{attempt}.{suffix}"


def checkpoints(model_id: str) -> str:
    """Return the prefix of the checkpoints of a model's training."""
    return f"{TRAININGS}{model_id}/"


def checkpoint_key(model_id: str, steps: int, digest: str) -> str:
    """Return the key of a checkpoint, given the SHA-256 of its bytes."""
    return f"{checkpoints(model_id)}checkpoint-{steps:09d}-{digest[:16]}.safetensors"


def parse_checkpoint_key(key: str) -> CheckpointKey | None:
    """Return what the key of a checkpoint says, None for other keys."""
    match = _CHECKPOINT.fullmatch(key)
    return CheckpointKey(match[1], int(match[2]), match[3]) if match else None


def clip_key(digest: str) -> str:
    """Return the key of what is kept about a clip, given the digest of its bytes."""
    return f"state/clips/{digest}.json"


def page_folder(name: str, sweep_id: str) -> str:
    """Return the prefix of the page of a sweep, without a slash at its end."""
    return f"gallery/{name}-{sweep_id[:8]}"


def together_folder(names: Sequence[str]) -> str:
    """Return the prefix of the page of several sweeps, by their names as they are asked for; of all sweeps for none.

    Its digest is longer than the id in the prefix of the page of one sweep, which may have the name `together`.
    """
    return f"{TOGETHER}-{hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()[:12]}" if names else TOGETHER


def removal_key(sweep_id: str) -> str:
    """Return the key of the note that a sweep is being removed."""
    return f"{REMOVALS}{sweep_id}.json"


def manifest_key(name: str, identity: str) -> str:
    """Return the key under which the text of a manifest that was run is kept."""
    return f"manifests/{name}-{identity}.yaml"
