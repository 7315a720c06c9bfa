"""The claims of the papers, judged on one run: each family judges the runs of the networks that it is about."""
