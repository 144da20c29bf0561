"""An engine's second thread: there while one is not enough, asleep otherwise."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network
from shadowmesh.lab.repeated import repeated

from .engine_lab import FAR, NEAR, UDP_SEGMENT, Overlay, engine_on, introduce, pings, transfers, until

pytestmark = pytest.mark.privileged

VOID = Overlay("10.77.0.3", "fd5a:77::3")
DISCARD_PORT = 9
BUSY_NS = 200_000_000
STOP_S = 5.0
BURST = 400  # of 60 KB each: the device's queue takes 1,000


def test_a_second_thread_helps_under_load_and_rests_without_and_no_packet_is_harmed() -> None:
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        near_host, far_host, void_host = (network.host(name) for name in ("near", "far", "void"))
        near = stack.enter_context(engine_on(near_host, NEAR))
        second = second_thread()
        far = stack.enter_context(engine_on(far_host, FAR))
        void = stack.enter_context(engine_on(void_host, VOID))
        introduce(near_host, near, far_host, far)
        introduce(near_host, near, void_host, void, far_overlay=VOID)
        discard(void_host, void.port)
        for _ in range(3):
            assert is_resting(second, near_host)
            with load(near_host, VOID.ipv4):
                until(lambda: not is_resting(second, near_host))
                assert transfers(near_host, far_host, FAR.ipv6, 5_000_000)
                assert transfers(far_host, near_host, NEAR.ipv4, 5_000_000)
            until(lambda: is_resting(second, near_host))
            assert transfers(near_host, far_host, FAR.ipv4, 5_000_000)


def test_an_engine_stops_while_both_threads_are_busy() -> None:
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        near_host, void_host = (network.host(name) for name in ("near", "void"))
        near = stack.enter_context(engine_on(near_host, NEAR))
        second = second_thread()
        void = stack.enter_context(engine_on(void_host, VOID))
        introduce(near_host, near, void_host, void, far_overlay=VOID)
        discard(void_host, void.port)
        rested_until_ns = second.cpu_ns
        with load(near_host, VOID.ipv4, pause_s=0):
            until(lambda: second.cpu_ns - rested_until_ns > BUSY_NS)
            stop = threading.Thread(target=near.stop)
            stop.start()
            stop.join(STOP_S)
            has_stopped = not stop.is_alive()
        assert has_stopped


@dataclass(frozen=True, slots=True)
class Thread:
    """One of this process."""

    directory: Path

    @property
    def cpu_ns(self) -> int:
        return int((self.directory / "schedstat").read_text().split()[0])


def second_thread() -> Thread:
    """Of the only engine in this process."""

    def named() -> list[Thread]:
        tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
        return [Thread(task) for task in tasks if (task / "comm").read_text() == "engine-2\n"]

    until(lambda: bool(named()))  # it gives itself its name
    (second,) = named()
    return second


def is_resting(second: Thread, host: Host) -> bool:
    """Whether packets pass and it has not run for them."""
    before = second.cpu_ns
    return pings(host, FAR.ipv4) and second.cpu_ns == before


def discard(host: Host, port: int) -> None:
    """What comes to the port costs nothing from now on."""
    chain = f"type filter hook prerouting priority -300\nudp dport {port} drop"
    host.run(["nft", "-f", "-"], stdin="table inet void { chain in {\n" + chain + "\n}\n}\n")


@contextmanager
def load(host: Host, address: str, *, pause_s: float = 0.02) -> Iterator[None]:
    """Bursts that take all of a thread for a while each: with pauses the device changes hands many times a second."""
    with host.socket(socket.AF_INET) as source:
        source.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1200)
        source.connect((address, DISCARD_PORT))

        def send() -> None:
            data = bytes(50 * 1200)
            with suppress(OSError):  # the device may go
                for _ in range(BURST):
                    source.send(data)

        with repeated(send, pause_s):
            yield
