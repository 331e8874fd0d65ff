"""Motion between the frames of a clip: optical flow, warping, which flow to trust, and measures of coherence in time.

All of it computes with OpenCV, which the extra `video` brings: without the extra, importing anything of this room
raises an `InputError` that says so. No file is read here.

Pictures are HW3 uint8 RGB, as in `nst.pictures`. A flow is float32 of shape (H, W, 2): for each pixel (x, y) of one
frame the displacement (dx, dy) in pixels to the place (x + dx, y + dy) of the other frame where the same point is seen.
Weights are float32 of shape (H, W): 1 where a flow is to be trusted, 0 where it is not.
"""

from __future__ import annotations

from nst.errors import InputError

try:
    import cv2  # noqa: F401 - whether it can be imported is the question
except ImportError as missing:  # also of a library that OpenCV itself needs
    raise InputError(f"clips need the extra 'video': {missing}", hint="pip install 'nst-batch[video]'") from missing
