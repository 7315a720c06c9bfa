"""The README's table of verdicts: runs and analyses every shipped scenario (about four minutes), prints Markdown.

python scripts/verdicts.py [FOLDER]     FOLDER keeps the runs [default: outputs]; none that is there is repeated
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import gflow
from gflow.scenario.listing import listed

HEAD = "| scenario | pattern | direction: angle at the end | KKT: stationarity at the limit | stable rank | claims |"


def run_of(path: Path, folder: Path) -> gflow.Trajectory:
    """The trajectory of a shipped scenario, simulated if it is not there yet."""
    out = folder / path.stem
    if (out / "trajectory.h5").exists():
        return gflow.open_trajectory(out)
    return gflow.simulate(gflow.load_scenario(path), out=out)


def line(name: str, found: Any) -> str:
    """One row of the table.  found: the results by analyzer."""
    freezing, direction, kkt, rank = (found[each] for each in ("freezing", "direction", "kkt", "rank"))
    angle = "" if direction.angle_to_limit is None else f": {direction.angle_to_limit:.1e} rad"
    stationarity = "" if kkt.stationarity is None else f": {kkt.stationarity:.0e}"
    counts = Counter(claim.verdict for claim in found["claims"])
    claims = f"{counts['holds']} hold, {counts['violated']} violated" if counts else "none"
    return (
        f"| `{name}` | {freezing.verdict} | {direction.verdict}{angle} | {kkt.verdict}{stationarity} "
        f"| {rank.verdict} | {claims} |"
    )


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("outputs")
    print(HEAD, "|---|---|---|---|---|---|", sep="\n")
    for path, _ in listed(None):
        print(line(path.stem, gflow.analyze(run_of(path, folder))), flush=True)


if __name__ == "__main__":
    main()
