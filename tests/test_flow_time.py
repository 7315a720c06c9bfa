"""Times stay in logarithms: whatever t is, log t is exact, and says itself in words."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.flow_time import log1p_of_log_time, log_time_of, log_times, time_text

V = np.array([1e-20, 0.3, 5.0, 1e6])


def test_log_t_of_v() -> None:
    expected = [np.log(1e-20), np.log(np.expm1(0.3)), np.log(np.expm1(5.0)), 1e6]
    assert log_times(V) == pytest.approx(expected, rel=1e-14)
    assert [log_time_of(v) for v in V] == pytest.approx(expected, rel=1e-14)
    assert [log1p_of_log_time(log_t) for log_t in expected] == pytest.approx(V, rel=1e-14)


def test_there_is_no_log_t_at_the_start() -> None:
    assert log_time_of(0.0) is None and log_times(np.zeros(1)) == -np.inf and time_text(0.0) == "t = 0"


def test_a_time_in_words() -> None:
    assert (time_text(4191.3), time_text(12345.678, digits=6)) == ("log t = 4191", "log t = 12345.7")
