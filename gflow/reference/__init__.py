"""The reference: margins, gradients, Clarke slopes and kernels of every network, in numpy, as the papers write them.

All rooms that judge a flow (analysis, claims, comparison, verification), and the tests, take the mathematics from here.
The engines (`field`, `flow`, `limit`, `ode`) and descent have their own implementation and import none of this, so that
an agreement of the two is evidence for both.  Shapes: any leading axes, then K outputs, m neurons, n samples, r span
coordinates.
"""
