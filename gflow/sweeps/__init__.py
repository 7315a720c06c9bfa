"""Sweeps: many flows, on one machine or a cluster, with one row of one table a run."""
