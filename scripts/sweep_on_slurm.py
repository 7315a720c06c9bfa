"""A sweep on the jobs of a Slurm cluster, by dask-jobqueue; `--local` tries the same on processes of this machine.

python scripts/sweep_on_slurm.py sweep.yaml --out /shared/phase --jobs 20 --cores 16 --memory 64GB
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import gflow
from gflow.report.sweep import SweepPrinter, result_text


def cluster_of(asked: argparse.Namespace) -> Any:  # Any: a cluster of dask
    """Jobs that are asked for, each with one worker of one thread a core."""
    if asked.local:
        from distributed import LocalCluster

        return LocalCluster(n_workers=asked.jobs * asked.cores, threads_per_worker=1, dashboard_address="127.0.0.1:0")
    from dask_jobqueue import SLURMCluster

    cluster = SLURMCluster(
        cores=asked.cores,
        processes=asked.cores,
        memory=asked.memory,
        walltime=asked.walltime,
        queue=asked.queue,
        account=asked.account,
        job_extra_directives=asked.directive,
        job_script_prologue=["export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1"],
    )
    cluster.scale(jobs=asked.jobs)
    return cluster


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="the sweep file")
    parser.add_argument("--out", required=True, help="folder of the sweep, on a disk that all nodes share")
    parser.add_argument("--jobs", type=int, default=1, help="jobs to ask for")
    parser.add_argument("--cores", type=int, default=1, help="cores of a job")
    parser.add_argument("--memory", default="4GB", help="memory of a job")
    parser.add_argument("--walltime", default="01:00:00", help="of a job")
    parser.add_argument("--queue", help="partition")
    parser.add_argument("--account", help="account")
    parser.add_argument("--directive", action="append", default=[], help="a further line of #SBATCH, repeatable")
    parser.add_argument("--local", action="store_true", help="use processes of this machine instead of jobs")
    asked = parser.parse_args()
    with cluster_of(asked) as cluster, SweepPrinter(sys.stderr, sys.stderr.isatty()) as printer:
        sweep = gflow.sweep(asked.file, asked.out, scheduler=cluster.scheduler_address, progress=printer)
    print(result_text(sweep))


if __name__ == "__main__":
    main()
