"""The storage of descent in `descent.h5`: runs, rows, checkpoints, and how an interrupted descent goes on."""
