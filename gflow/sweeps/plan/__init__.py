"""What a sweep file asks for: axes, and the scenario of every run."""
