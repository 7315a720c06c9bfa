"""The analyzer of the KKT conditions of  min |theta|^2 / 2  with every margin at least 1: whether the direction of the
flow is a KKT point, and whether it is the optimum.

A point is scaled to least margin 1 (theta / p_min^(1/L), L the degree of homogeneity), where Lyu and Li (2020) call it
an (epsilon, delta)-KKT point if |theta - sum_i lambda_i h_i| <= epsilon with Clarke gradients h_i and lambda >= 0, and
the lambda_i (p_i - 1) are at most delta.  Optima: Frei et al., Theorem 3.2, items 4 to 7.
"""

from gflow.analysis.kkt.judgement import KktResult, kkt

__all__ = ["KktResult", "kkt"]
