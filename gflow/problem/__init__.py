"""The learning problem: data, network, initialisation, loss; no time, and no IO but data files."""
