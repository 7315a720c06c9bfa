"""A run to be killed: `python -m tests.trajectory.appending FILE BLOCKS CASE` appends that many blocks.

It prints the number of rows after each commit, so that no fewer than that must be found in the file.
"""

from __future__ import annotations

import sys

from tests.trajectory.synthetic import CASES, PLAIN, Case, events_up_to, row


def append_blocks(path: str, blocks: int, case: Case = PLAIN) -> None:
    """Blocks of 1, 2, 3, 1, 2, 3, ... rows; the events of a row come with its block."""
    writer = case.create(path, expected_rows=1)
    for block in range(blocks):
        numbers = range(writer.n_rows, writer.n_rows + 1 + block % 3)
        writer.commit(
            [row(number, case) for number in numbers],
            [entry for number in numbers for entry in events_up_to(number)],
        )
        print(writer.n_rows, flush=True)
    writer.finish("HORIZON", "reached the end")


if __name__ == "__main__":
    append_blocks(sys.argv[1], int(sys.argv[2]), CASES[sys.argv[3]])
