"""Scenarios on which gflow was once wrong, with what is right: each worked out independently of gflow."""
