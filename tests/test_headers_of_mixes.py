"""A mixed style is headed by all of its images, on the page and on the contact sheet."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
from PIL import Image
from sweeps import TINY, plan, run, write, write_pictures

from tasks.pages.report import report, write_again
from tasks.pages.sheet_drawing import montage
from tasks.planning.registration import register_sweep

RED, BLUE, GREEN = (220, 30, 30), (30, 30, 220), (30, 200, 30)
SWEEP = f"""\
name: mixed
contents: cat.png
styles:
  - {{name: several, images: [red.png, blue.png, green.png]}}
  - waves.png
method: {{name: gatys, {TINY}}}
"""


def has(picture, color):
    return (np.abs(np.asarray(picture, int) - color).max(2) < 40).mean()


def test_every_image_of_a_mix_is_shown(tmp_path):
    write_pictures(tmp_path)
    for name, color in (("red", RED), ("blue", BLUE), ("green", GREEN)):
        write(tmp_path / f"{name}.png", np.full((24, 24, 3), color, np.uint8))
    prepared = plan(tmp_path, SWEEP)
    register_sweep(prepared)
    run(prepared)
    prepared.root.catalog.publish("sweeps")
    pages = [report(prepared), write_again(prepared.root, "mixed", prepared.plan.sweep_id, 2)]
    for page in pages:
        text = prepared.root.store.get(page.uri.removeprefix(f"{prepared.root.uri}/")).decode()
        heads = json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', text, re.DOTALL)[1])["heads"]["style"]
        shown = Image.open(io.BytesIO(base64.b64decode(heads["several"].partition(",")[2]))).convert("RGB")
        sheet = Image.open(io.BytesIO(page.contact_sheet)).convert("RGB")
        for color in (RED, BLUE, GREEN):
            assert 0.15 < has(shown, color) < 0.26  # a quarter of the square each, and one quarter is paper
            assert has(sheet, color) > 0.002


def test_a_montage_keeps_proportions_and_a_single_picture():
    wide, tall = np.zeros((10, 40, 3), np.uint8), np.full((40, 10, 3), 90, np.uint8)
    assert montage([wide], 100) is wide
    both = montage([wide, tall], 100)
    assert both.shape == (50, 100, 3)
    black, grey = (both == 0).all(2), (both == 90).all(2)
    assert black.any(0).sum() > 3.5 * black.any(1).sum()
    assert grey.any(1).sum() > 3.5 * grey.any(0).sum()
