"""The papers' claims on one run: each family of them judges the runs of the networks it is about."""
