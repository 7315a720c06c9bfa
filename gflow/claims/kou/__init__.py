"""Claims of Kou et al., with the runs that they are about and the units in which they are judged.

All statements are about gradient descent with step eta in the paper; here they are about the flow at time eta t, and in
the paper's units for every size of the outer layer (`setting.KouSetting`): m neurons of weight +1/m and m of
weight -1/m.  So one problem in the scaling of Frei et al. (1/sqrt(2m)) and in that of Kou et al. gets one verdict.
"""

from gflow.claims.claim import Judge
from gflow.claims.kou import freezing, growth, margins, orthogonal, patterns, relu, start, theorems
from gflow.claims.kou.setting import applies

CLAIMS: tuple[Judge, ...] = (
    *theorems.CLAIMS,
    *start.CLAIMS,
    *growth.CLAIMS,
    *relu.CLAIMS,
    *patterns.CLAIMS,
    *freezing.CLAIMS,
    *orthogonal.CLAIMS,
    *margins.CLAIMS,
)
__all__ = ["CLAIMS", "applies"]
