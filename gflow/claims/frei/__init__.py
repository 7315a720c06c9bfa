"""Claims of Frei et al., in three families that differ in the runs they apply to.

theorems: Section 3, leaky ReLU; bounds: the proof of Section 4, leaky ReLU and smooth leaky activations; example: the
three samples of Lemma B.8.  All statements are in the units of the paper (`setting.FreiSetting`).
"""

from gflow.claims.frei import bounds, example, theorems

__all__ = ["bounds", "example", "theorems"]
