"""`write_samples` needs nothing but the installed packages and writes pictures with credits."""

from __future__ import annotations

import re
from pathlib import Path

from nst.paintings import PAINTINGS
from nst.pictures.images import decode, read_provenance
from nst.pictures.masks import match_regions, read_labels
from tasks.samples import write_samples


def test_samples_are_photographs_and_paintings_with_credits(tmp_path):
    written = write_samples(tmp_path / "new" / "samples")
    names = [Path(path).relative_to(tmp_path / "new" / "samples").as_posix() for path in written]
    assert [n for n in names if n.startswith("contents/")] == [
        f"contents/{n}.jpg" for n in ("astronaut", "chelsea", "coffee", "rocket")
    ]
    assert [n for n in names if n.startswith("clips/")] == [f"clips/chelsea/{number:02}.jpg" for number in range(12)]
    assert [n for n in names if n.startswith("styles/")] == [f"styles/{n}.png" for n in sorted(PAINTINGS)]
    assert [n for n in names if n.startswith("masks/")] == ["masks/swirls.png", "masks/doodle.png"]
    credit = (tmp_path / "new" / "samples" / "CREDITS.md").read_text(encoding="utf-8")
    masks = names.index("masks/doodle.png")
    assert all(re.fullmatch(r"[\w-]+\.yaml", name) for name in names[masks + 1 :])  # see test_manifests
    written, names = written[: masks + 1], names[: masks + 1]
    for path, name in zip(written, names, strict=True):
        data = Path(path).read_bytes()
        if name.startswith("clips/"):
            assert decode(data).shape == (192, 256, 3)
            continue
        assert max(decode(data).shape) == 512
        assert name in credit
        assert "credit" in read_provenance(data)
    painting, mask, target = (
        decode((tmp_path / "new/samples" / n).read_bytes()) for n in ("styles/swirls.png", *names[-2:])
    )
    assert painting.shape == mask.shape
    regions = [read_labels("", each) for each in (mask, target)]
    assert match_regions(regions[1], regions[:1])
    assert {len(each.colors) for each in regions} == {3}
    assert sum(Path(path).stat().st_size for path in written) < 4_000_000
