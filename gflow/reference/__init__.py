"""The reference: margins, gradients, Clarke slopes and kernels of every network, in numpy, as the papers write them.

Everything that judges a flow (analysis, claims, comparison, verification) and the tests take the mathematics from here.
The engines (`field`, `flow`, `limit`, `ode`) and descent have their own writing, and import none of this: what is
worked out twice and agrees is right twice.  Shapes: any leading axes, then K outputs, m neurons, n samples, r span
coordinates.
"""
