"""The folder of a sweep: what was asked for, a line for every run that ended, and the table of them."""
