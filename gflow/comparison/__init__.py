"""Flow and descent on one clock, t = sum of step sizes: pure functions from their states to gaps, orders, verdicts."""
