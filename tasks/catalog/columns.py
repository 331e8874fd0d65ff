"""The columns of every table that no configuration generates, each with its type and one line about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from nst.config import METHOD_CONFIGS
from nst.config.architectures import layers_of
from nst.config.terms import TERMS

Type = Literal["string", "int64", "float64", "bool", "timestamp"]
"""`timestamp` is microseconds in UTC. Types never change once published; a changed meaning is a new column."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its type and what it holds, units included."""

    name: str
    type: Type
    description: str


def described(type_: Type, **descriptions: str) -> tuple[Column, ...]:
    """Return columns of one type, each with its description."""
    return tuple(Column(name, type_, text) for name, text in descriptions.items())


IDENTITY: Final = (
    *described(
        "string",
        cell_id="Identity of the cell: hash of everything that determines its pixels.",
        address="Hash of what was asked for, without digests and versions: equal addresses with unequal ids mean that "
        "an input or the method changed.",
        sweep_id="Sweep that computed it first; `sweeps` lists every sweep that holds it.",
        sweep_name="Name of that sweep's manifest.",
        batch_id="Batch that it was optimised in.",
        method="Method of the manifest, e.g. `gatys`.",
    ),
    Column("method_version", "int64", "Declared version of the method, part of the identity."),
    *described(
        "string",
        content_name="Name of the content image within the sweep; null for methods without one.",
        content_uri="Where the content image was read; null for a content that is a mask alone.",
        content_digest="SHA-256 of the content image's bytes.",
        content_mask_uri="Where the content's mask was read, or its colour `#rrggbb`; null without.",
        content_mask_digest="SHA-256 of the content's mask's bytes, or its colour.",
        style_name="Name of the style within the sweep. Of a cell whose manifest names a network of one style by its "
        "id or file, and no style: name of the style that the network was trained for, if that is on record. Null for "
        "methods without one.",
        style_uris="JSON list of the style images' URIs.",
        style_digests="JSON list of the SHA-256 of the style images' bytes.",
        style_mask_uris="JSON list of where the style images' masks were read, or their colours; null without.",
        style_mask_digests="JSON list of the SHA-256 of the masks' bytes, or their colours.",
        style_weights="JSON list of the shares of the style images in the mix, which add up to 1; with `style_mix` "
        "`sum`, of the numbers that multiply their Gram matrices, which may have any sum.",
        style_mix="How several style images are mixed: `targets` or `losses`, which are averaged, or `sum`, the Gram "
        "matrices of all images added.",
        weights_digest="SHA-256 that identifies the weights, the backbone's or the trained network's.",
        model_id="Trained model that made the picture, or whose training failed; null for methods without one.",
        style_scales="JSON list of the sizes of the style images, divided by the size that the method gives to "
        "style images; null where all are 1.",
        finish_model_id="Trained model that the picture passed through at the end; null without a `finish`, and for a "
        "file that is not in the catalog of models.",
        finish_digest="SHA-256 of that network's file. With it, the losses are of the picture before that pass; all "
        "else is of the saved picture.",
        init_digest="SHA-256 of the bytes of a given picture that the optimisation started from; null without.",
    ),
)

LAYERS: Final = tuple(layer for layer in layers_of("vgg19") if layer.startswith("relu"))
"""The 16 rectified layers of VGG-19, which have loss columns of their own; VGG-16's 13 are among them."""

LOSSES: Final = (
    Column("loss", "float64", "Weighted sum that was minimised, in the configured `units`, of the saved picture."),
    *(Column(f"{name}_loss", "float64", term.loss) for name, term in TERMS.items()),
    *(Column(f"{name}_weight_relative", "float64", term.weight) for name, term in TERMS.items()),
    *(
        Column(f"{name}_loss_{layer}", "float64", term.layer_loss.format(layer=layer))
        for name, term in TERMS.items()
        if term.layer_loss
        for layer in LAYERS
    ),
    *(Column(name, *about) for method in METHOD_CONFIGS.values() for name, about in method.REPORTS.items()),
    Column("other_layer_losses", "string", "JSON object of the losses of layers without a column."),
)

RUN: Final = (
    Column("steps_done", "int64", "Evaluations of loss and gradient that were done, all levels together."),
    Column(
        "seconds", "float64", "The cell's share of `batch_seconds`; of a clip the sum over its frames, of all runs."
    ),
    Column("batch_seconds", "float64", "Wall-clock seconds of the batch's optimisation."),
    Column("batch_size", "int64", "Cells in the batch."),
    Column(
        "tile_side",
        "int64",
        "Side in pixels of the overlapping tiles in which loss and gradient were computed, since memory was short for "
        "the whole picture at once; they are the same up to rounding. Null for whole pictures.",
    ),
    Column("cost", "float64", "Pixels x steps, all levels: what `seconds` is estimated from."),
    Column("peak_memory_bytes", "int64", "Highest memory in use on the device during the batch."),
)

WORKPLACE: Final = (
    *described(
        "string",
        worker="Label of the worker process: its device and a random part, e.g. `cuda:0-3f9c21`; no host or user name.",
        device="Device of torch, e.g. `cpu` or `cuda:0`; a worker of one GPU names it `cuda`.",
        device_name="What the device calls itself.",
        nst_version="Version of nst.",
        torch_version="Version of torch.",
        python_version="Version of Python.",
    ),
    Column("attempt", "int64", "1 + the number of failed attempts on record when it was planned."),
    Column("started_at", "timestamp", "Start of the batch, UTC."),
)

PICTURE: Final = (
    Column("finished_at", "timestamp", "When the picture was written, UTC."),
    Column("picture_uri", "string", "URI of the stylized image."),
    Column("picture_digest", "string", "SHA-256 of the picture's bytes."),
    Column("picture_bytes", "int64", "Size of the picture's file in bytes."),
    Column("picture_width", "int64", "Width in pixels."),
    Column("picture_height", "int64", "Height in pixels."),
    Column("picture_format", "string", "`png`, `jpeg` or `webp`; of a clip `mp4`, `webm`, `mkv`, `gif` or `webp`."),
    Column("thumbnail_uri", "string", "URI of the small version for galleries."),
    Column(
        "picture_quality", "int64", "Quality of a JPEG or WebP (`output.quality`); null for PNG, clips, older rows."
    ),
    Column("picture_alpha", "bool", "Whether the picture has the transparency of its content (`output.alpha`)."),
    Column("preview_steps", "string", "JSON list of the steps after which previews were stored; null without any."),
)

CLIP: Final = (
    Column("clip_frames", "int64", "Frames of the clip; this column and all others of clips are null for stills."),
    Column("clip_first", "int64", "Number of its first frame in the content, from 0."),
    Column("clip_last", "int64", "Number of its last frame in the content."),
    Column("clip_every", "int64", "Every how many frames of the content it has one."),
    Column("clip_shots", "int64", "Shots: a new one begins where the motion finds hardly any position again."),
    *described(
        "float64",
        clip_seconds="Duration of the clip.",
        warping_error="How far neighbouring frames of a shot are from each other along the content's motion: mean "
        "squared difference of the second, warped to the first, where the motion is certain (E_warp, Lai 2018), mean "
        "over pairs; from 0, lower = steadier. Depends on `video_flow`.",
        warping_error_long="The same for frames that lie ten apart.",
        source_warping_error="The same for neighbouring frames of the content itself: the floor.",
        source_warping_error_long="The same for frames of the content that lie ten apart.",
        tof="Mean length of the difference between the motion seen in the clip and that seen in the content "
        "(tOF, Chu 2020, against the content), in pixels; from 0, lower = moves as the content does.",
        drift="Mean absolute change between neighbouring frames where the content stands still, in 0..1; lower = "
        "steadier; null where nothing stands still.",
    ),
)

FRAME: Final = (
    *described(
        "string",
        frame_key="Identity of the row: hash of `cell_id` and `frame_id`.",
        frame_id="Identity of the frame: hash of everything that determines its pixels, the frames before among them.",
        cell_id="The cell, whose row in `results` is the clip; another cell may have the same frame.",
        sweep_id="Sweep that committed the row.",
    ),
    Column("frame", "int64", "Number of the frame in the content, from 0."),
    Column("pass", "int64", "Pass through the shot (`video.passes`), from 0; the clip is made of the last one."),
    Column("shot", "int64", "Number of the shot within the clip, from 0."),
    Column("time", "float64", "When the frame is shown, in seconds."),
    *(Column(f"{name}loss", "float64", text) for name, text in {
        "": "Weighted sum that was minimised, in the configured `units`, of the saved frame.",
        **{f"{name}_": term.loss for name, term in TERMS.items()},
    }.items()),
    *described(
        "float64",
        warping_error="Warping error (as in `results`) of the pair of this frame and the one made before it; null for "
        "the first frame of a shot.",
        source_warping_error="The same of the content's frames.",
        consistent_share="Share of the positions whose motion between these frames is certain; 0..1.",
        seconds="The cell's share of the wall-clock seconds that the frame took.",
    ),
    Column("steps_done", "int64", "Evaluations of loss and gradient that were done."),
    *described(
        "string",
        picture_uri="URI of the frame, a PNG file.",
        picture_digest="SHA-256 of its bytes.",
        worker="Label of the worker process.",
        device="Device of torch.",
    ),
    Column("picture_bytes", "int64", "Size of its file in bytes; null in rows of older versions."),
    Column("finished_at", "timestamp", "When the frame was written, or taken over from another cell, UTC."),
)  # fmt: skip

JUDGE: Final = (
    *described(
        "string",
        judge="Identity of the judge: of its weights, the size and the version of its formulas; null if not judged.",
        judge_weights="JSON object of the digests of the judge's weights, by `squeezenet`, `lpips` and `vgg19`.",
    ),
    Column("judge_size", "int64", "Largest short side in pixels at which the judge sees pictures."),
    Column(
        "judge_neutral", "bool", "False if the picture was optimised through SqueezeNet, which is the neutral judge."
    ),
)

JUDGEMENT: Final = (
    *described(
        "string",
        judgement_id="Identity of the judgement: hash of the cell's id, the picture's digest and the judge.",
        cell_id="The cell.",
        picture_digest="SHA-256 of the bytes of the picture that was judged.",
    ),
    Column("judged_at", "timestamp", "When the picture was judged, UTC."),
    Column(
        "vgg_neutral",
        "bool",
        "False if the picture was optimised through a VGG, which cfsd_content and e_statistic then favour; null of a "
        "trained network's picture.",
    ),
)

VOTE: Final = (
    *described(
        "string",
        vote_id="Identity of the vote: random, given by the page.",
        left_cell_id="The cell that was shown first: on the left, or above on a narrow screen.",
        right_cell_id="The cell that was shown second.",
        preferred="`left`, `right` or `tie`. The sides were drawn, and the names of the cells were hidden until then, "
        "unless a vote about the pair had just been taken back.",
        shown="How the two pictures were shown: `side` by side, or as a `wipe`, one under the other's edge.",
        pairs="Which pairs were drawn: `pair`, `content` or `all`, whose cells share content and style, the content "
        "or nothing; or the setting in which alone they differ.",
        browser="Random name of the browser that the vote was cast in, which tells people apart and names nobody.",
    ),
    Column("voted_at", "timestamp", "When it was cast by the clock of that browser, UTC."),
)

ANNOTATION: Final = (
    *described("string", annotation_id="Identity of the row: random, given by the page.", cell_id="The cell."),
    Column("favourite", "bool", "Whether the cell is a favourite."),
    *described(
        "string",
        tags="JSON list of its tags.",
        note="The note, any text.",
        browser="Random name of the browser that it was written in, as of votes.",
    ),
    Column("annotated_at", "timestamp", "When it was written by the clock of that browser, UTC; the latest counts."),
)

FAILURE: Final = (
    Column("failed_at", "timestamp", "When the attempt failed, UTC."),
    *described(
        "string",
        error_class="Class of the error; nst's own or Python's.",
        error_message="Text of the error.",
        evidence_uri="What a training that was stopped left behind: its last losses; a picture lies beside it.",
        error_where="Stage (`read`, `decode`, `stylize`, `encode`, `write`) and the end of the traceback.",
    ),
)

SWEEPS: Final = (
    *described(
        "string",
        sweep_id="Identity of the sweep: hash of its cells in order.",
        sweep_name="Name of the manifest.",
        cell_id="A cell that the sweep holds, whoever computed it; it has a row for each name of its images.",
    ),
    Column(
        "position",
        "int64",
        "Place of the cell in the expanded manifest, from 0; rows under further names come after all cells.",
    ),
    *described(
        "string",
        content_name="Name of the content image within this sweep.",
        style_name="Name of the style within this sweep.",
        manifest_uri="Where the manifest was read.",
    ),
    Column("submitted_at", "timestamp", "When the sweep was first submitted, UTC."),
    Column("alias", "bool", "True in the rows of a cell under further names of its images; null in its first row."),
)

TRACES: Final = (
    Column("cell_id", "string", "The cell, or the model by its id."),
    Column("step", "int64", "Steps taken, from 1, counted through all levels."),
    Column("level", "int64", "Level of the pyramid, from 0, the coarsest."),
    *described(
        "float64",
        loss="Weighted sum at that step, in the configured `units`.",
        content_loss="Its content part, weighted; a Laplacian loss included.",
        style_loss="Its style part, weighted.",
        tv_loss="Its total-variation part, weighted.",
        temporal_loss="Its temporal part, weighted; 0 for stills.",
    ),
)
