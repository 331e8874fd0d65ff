"""Networks that judge finished pictures, whatever method made them. Knows no method, no file and no catalog.

judge = Judge(neutral=NeutralJudge(squeezenet, heads), vgg=VggJudge(vgg19, references))
judge.measure(picture, content, styles, weights)       # the columns of nst.config.judgement
"""

from __future__ import annotations

from nst.judges.judge import Judge
from nst.judges.neutral import NeutralJudge
from nst.judges.vgg import VggJudge

__all__ = ["Judge", "NeutralJudge", "VggJudge"]
