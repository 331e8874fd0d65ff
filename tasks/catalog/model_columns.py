"""The columns of `models`: what a trained network is, what it was made from, how far it got, where its weights lie."""

from __future__ import annotations

from functools import cache
from typing import Final

from nst.config.training import TRAINING_CONFIGS
from tasks.catalog import parameters
from tasks.catalog.columns import Column, described

MODEL: Final = (
    *described(
        "string",
        model_id="Identity of the model: hash of everything that its weights follow from; of an imported one, of them.",
        name="Name of the training manifest, or of the imported file.",
        style_names="JSON list of the styles' names; their order is that of a conditional network's rows.",
        style_uris="JSON list of the style images' URIs.",
        style_digests="JSON list of the SHA-256 of the style images' bytes.",
        style_mask_uris="JSON list of where the style images' masks were read, or their colours; null without.",
        style_mask_digests="JSON list of the SHA-256 of the masks' bytes, or their colours.",
        colors="JSON list of the colours of the regions that a `doodle_net` paints; null for the others.",
        data_digest="Digest of the set of photographs; null where none are needed.",
        backbone_digest="Identity of the backbone's weights.",
        parent_model="Id, or digest of the file, of the model that the training began with; null for none.",
    ),
    Column("family_version", "int64", "Declared version of the family, part of the identity."),
    Column("photographs", "int64", "Photographs that it learned from, validation pictures left out."),
    Column("photographs_skipped", "int64", "Files among the photographs that are no pictures."),
    Column("config", "string", "All settings as JSON; null for an imported model."),
)

OUTCOME: Final = (
    Column("steps_done", "int64", "Steps of the optimiser."),
    *described(
        "float64",
        loss="Weighted sum of the losses in training, mean of the last twentieth of the steps.",
        content_loss="Its content part, weighted.",
        style_loss="Its style part, weighted.",
        tv_loss="Its total-variation part, weighted.",
        diversity_loss="Its diversity part, weighted; negative where the pictures of a batch differ.",
    ),
    Column("validation_pictures", "int64", "Photographs held out of the training, or pictures from masks or noise."),
    Column("validation_losses", "string", "JSON object of the losses on the validation pictures at the end."),
    *described(
        "float64",
        validation_entropy="Entropy of the pictures that a `texture_net` makes of one photograph, or from noise alone, "
        "in nats per value (of 3 per pixel), by the estimate of Kozachenko and Leonenko from four pictures, mean over "
        "the validation pictures. Too high by up to about 0.35; differences between models mean more than the number.",
        validation_entropy_error="Standard error of `validation_entropy`, over the validation pictures.",
    ),
)

RUN: Final = (
    *described(
        "float64",
        seconds="Wall-clock seconds of all steps, interruptions left out.",
        images_per_second="Photographs (or pictures from noise) a second, all steps together.",
    ),
    Column("resumed", "int64", "How often it went on from a checkpoint."),
    Column("peak_memory_bytes", "int64", "Highest memory in use on the device since the last start."),
)

FILES: Final = (
    *described(
        "string",
        weights_uri="URI of the weights (safetensors); its metadata says how to build the network.",
        weights_digest="SHA-256 of that file.",
        samples_uri="URI of a picture of the validation photographs, or masks, above what the model makes of them.",
    ),
    Column("weights_bytes", "int64", "Size of the weights' file in bytes."),
    Column("parameters", "int64", "Numbers in the weights."),
    Column("finished_at", "timestamp", "When the weights were written, UTC."),
)


@cache
def settings() -> tuple[Column, ...]:
    """Return a column for every setting of every family, `family` among them."""
    return parameters.union(TRAINING_CONFIGS.values())
