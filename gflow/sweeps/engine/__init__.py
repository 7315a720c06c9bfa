"""Who carries out the runs of a sweep: this process, or workers of dask.distributed."""
