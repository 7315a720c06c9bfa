"""The comparison of flow and descent on one clock, t = sum of step sizes: from their states to gaps, orders and
verdicts."""
