import itertools

import httpx
import numpy as np
import pytest

from benchmarks.service_soak import is_flat
from benchmarks.serving import crowd, leave, told


def test_whatever_a_call_comes_to_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr("benchmarks.serving.time.perf_counter", lambda: float(next(clock)))

    def ask(client: int, turn: int) -> str:
        if turn % 2:
            raise httpx.ReadError("gone")
        return f"client {client}"

    seen, took = crowd(1, 10, ask)
    assert seen == {"client 0": 3, "ReadError": 2}
    assert took == [1.0] * 5


def test_who_is_turned_away_must_be_told_when_to_come_back() -> None:
    assert told(httpx.Response(503)) == "503"
    assert told(httpx.Response(429, headers={"Retry-After": "0"})) == "429 with Retry-After"
    assert told(httpx.Response(409, headers={"Retry-After": "9"})) == "409"


def test_a_missed_target_is_a_bad_end() -> None:
    leave([])
    with pytest.raises(SystemExit, match="missed: a; b"):
        leave(["a", "b"])


def test_what_grows_is_not_flat() -> None:
    first = np.array([400.0, 20.0, 3.0])
    assert is_flat(first, first + 5)
    for place in range(3):
        assert not is_flat(first, first + 100 * np.eye(3)[place])
