"""Descent on its way to `descent.h5`: runs, rows, checkpoints, and how an interrupted one goes on."""
