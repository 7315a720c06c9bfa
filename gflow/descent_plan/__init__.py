"""Runs of gradient descent as they are asked for: the plan of them, their rows, and how they ended."""
