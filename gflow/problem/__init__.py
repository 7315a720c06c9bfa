"""The learning problem: data, network, initialisation and loss.  It knows no time, and reads only files of data."""
