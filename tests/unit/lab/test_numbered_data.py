from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence

import pytest

from shadowmesh.lab.errors import LabError
from shadowmesh.lab.numbered_data import GAP_S, STEADY_S, Arrivals, End, numbered_data, receive_stream, wait_recovered

LOOPBACK = End(socket.socket, "127.0.0.1")


def test_both_flows_arrive_and_nothing_is_wrong_with_them() -> None:
    with numbered_data(LOOPBACK, LOOPBACK) as (stream, packets):
        for flow in (stream, packets):
            assert wait_recovered(flow, 0.0, STEADY_S + 20) > 0
    assert [flow.broken for flow in (stream, packets)] == ["", ""]
    # The stream may bring several numbers at once.
    assert stream.count >= len(stream.times) > STEADY_S / GAP_S
    assert packets.count == len(packets.times) > STEADY_S / GAP_S


@pytest.mark.parametrize(
    ("arrived", "recovered_s"),
    [
        ([], None),
        ([(0.0, 100.0)], 0.0),  # it never stood still
        ([(0.0, 10.1), (12.5, 15.0)], None),  # not long enough in a row
        ([(0.0, 10.1), (12.5, 20.0)], 2.5),
        ([(0.0, 10.1), (12.5, 13.0), (14.0, 20.0)], 4.0),  # the last gap counts
        ([(12.0, 20.0)], 2.0),
        ([(0.0, 9.0)], None),
    ],
)
def test_a_flow_has_recovered_at_the_end_of_the_last_gap(
    arrived: Sequence[tuple[float, float]], recovered_s: float | None
) -> None:
    arrivals = Arrivals([begin + step / 10 for begin, end in arrived for step in range(round((end - begin) * 10) + 1)])
    assert arrivals.recovered_s(10.0) == (None if recovered_s is None else pytest.approx(recovered_s))


def test_a_number_that_is_missing_is_told() -> None:
    assert received([0, 1, 3]) == "number 3 came instead of 2"
    assert received([0, 1, 1]) == "number 1 came instead of 2"


def test_a_number_in_pieces_is_one_number() -> None:
    assert received([0, 1, 2], piece_bytes=3) == ""


def test_a_connection_that_is_closed_is_told_and_is_no_arrival() -> None:
    near, far = socket.socketpair()
    arrivals = Arrivals()
    with far:
        near.close()
        far.settimeout(1)
        receive_stream(far, arrivals, threading.Event())
    assert (arrivals.broken, arrivals.times) == ("the connection was closed", [])


def test_who_waits_is_told_what_is_broken_or_that_nothing_came() -> None:
    with pytest.raises(LabError, match="the connection was closed"):
        wait_recovered(Arrivals(broken="the connection was closed"), 0.0, 60)
    with pytest.raises(LabError, match=r"nothing in a row within 0\.0 s; 0 arrived in all"):
        wait_recovered(Arrivals(), 0.0, 0.0)


def received(numbers: Sequence[int], *, piece_bytes: int = 1000) -> str:
    """What was wrong with the numbers, before the connection was closed."""
    data = b"".join(struct.pack("!Q", number) for number in numbers)
    near, far = socket.socketpair()
    arrivals, stop = Arrivals(), threading.Event()
    with near, far:
        far.settimeout(0.01)
        receiving = threading.Thread(target=receive_stream, args=(far, arrivals, stop))
        receiving.start()
        for start in range(0, len(data), piece_bytes):
            near.sendall(data[start : start + piece_bytes])
        while arrivals.count < len(numbers):
            receiving.join(0.001)
            assert receiving.is_alive()
        stop.set()
        receiving.join()
    return arrivals.broken
