"""The lessons: for each family, what its networks learn from."""

from __future__ import annotations

from typing import Final

from nst.training.lessons.enlarging import EnlargingLesson
from nst.training.lessons.exchange import ExchangeLesson
from nst.training.lessons.lesson import Learner, Lesson, Syllabus
from nst.training.lessons.markovian import MarkovianLesson
from nst.training.lessons.perceptual import DiverseLesson, PerceptualLesson, RowLesson
from nst.training.lessons.regions import RegionLesson
from nst.training.lessons.student import StudentLesson

__all__ = ["LESSONS", "Learner", "Lesson", "Syllabus"]

LESSONS: Final[dict[str, type[Lesson]]] = {
    "adain": ExchangeLesson,
    "conditional": RowLesson,
    "doodle_net": RegionLesson,
    "johnson": PerceptualLesson,
    "mgan": MarkovianLesson,
    "student": StudentLesson,
    "super_resolution": EnlargingLesson,
    "texture_net": DiverseLesson,
}
"""The class of every family's lesson, by the family's name."""
