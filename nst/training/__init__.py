"""Training of feed-forward networks: steps, states and verdicts. Knows no file and no schedule of nights."""

from __future__ import annotations

from nst.training.health import Unhealthy
from nst.training.trainer import Trainer, Validation

__all__ = ["Trainer", "Unhealthy", "Validation"]
