"""Training of feed-forward networks: steps, checkpoints and health. Knows no file system and no schedule."""

from __future__ import annotations

from nst.training.health import Unhealthy
from nst.training.trainer import Trainer, Validation

__all__ = ["Trainer", "Unhealthy", "Validation"]
