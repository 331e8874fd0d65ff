"""Writes the pictures of the page that the README shows: `make screenshots`. Takes some minutes on two CPU cores.

They show a sweep over the samples that come with nst, so that nothing is fetched and nothing of others is shown. What
is there already below the folder is not computed again.

    python tests/screenshots.py FOLDER
"""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from browser import opened
from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"
MANIFEST = """\
name: evening
contents: [samples/contents/chelsea.jpg, samples/contents/coffee.jpg, samples/contents/rocket.jpg]
styles: samples/styles/*.png
method: {name: gatys, size: 128, steps: 30, backbone: {weights: embedded}}
sweep: {style_weight: [30]}
"""


def main(folder: Path) -> None:
    """Run the sweep below a folder and take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evening.yaml").write_text(MANIFEST, encoding="utf-8")
    nst = [sys.executable, "-m", "flows"]
    subprocess.run([*nst, "samples", "samples"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*nst, "run", "evening.yaml", "--inline"], cwd=folder, check=True)
    (page,) = (folder / "out" / "gallery").glob("evening-*/index.html")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, opened(page, Path(profile)) as tab:
        take(tab, "gallery", "x=style&y=content&tools=folded", 1200, 668)
        first = tab.js("document.querySelector('.cell').dataset.cell")
        take(tab, "cell", f"cell={first}&mode=slider&theme=dark", 1200, 700)


def take(tab: object, name: str, state: str, width: int, height: int) -> None:
    """Write docs/<name>.webp: the page in a state of its address, with all its pictures loaded."""
    tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    tab.open(state, anew=True)
    tab.until("[...document.images].every((image) => image.loading === 'lazy' || image.naturalWidth > 0)")
    tab.until("[...document.images].filter((image) => image.loading !== 'lazy' || image.getBoundingClientRect().top <"
              " innerHeight).every((image) => image.complete && image.naturalWidth > 0)")  # fmt: skip
    data = tab.call("Page.captureScreenshot", format="png")["data"]
    with Image.open(BytesIO(base64.b64decode(data))) as shot:
        shot.convert("RGB").save(DOCS / f"{name}.webp", "WEBP", quality=82, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
