"""The learning problem: data, network, initialisation and loss.  It knows no time, and reads no files but those of
data.
"""
