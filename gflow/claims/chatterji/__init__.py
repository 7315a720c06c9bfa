"""Claims of Chatterji, Long and Bartlett on Huberized ReLU networks, as they stand for gradient flow.

The paper's form has no biases: x~ = (x, 1) / sqrt(2) and v~_i = sqrt(2) (v_i, b_i), so that gradients in the run's own
parameters shrink by sqrt(2) and its norms grow by sqrt(2) where neurons have biases.  P neurons have outer weight +1,
P have -1.
Claims on steps of descent stand here as rates (Theorem 1, equation (8)) or have no counterpart.
"""

from gflow.claims.chatterji import convergence, data, descent, pointwise, small_loss
from gflow.claims.chatterji.setting import applies
from gflow.claims.claim import Judge

CLAIMS: tuple[Judge, ...] = (
    *data.CLAIMS,
    *pointwise.CLAIMS,
    *descent.CLAIMS,
    *small_loss.CLAIMS,
    *convergence.CLAIMS,
)
__all__ = ["CLAIMS", "applies"]
