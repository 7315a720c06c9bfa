"""The experiments of the papers: each a small file, carried out as sweeps, and judged against what the paper states."""
