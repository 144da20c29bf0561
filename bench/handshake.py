"""From the first datagram of a session to the first reply through the tunnel, and the CPU time of either side.

    python -m bench.handshake --repeat 5

Needs root. Real nodes: post-quantum exchange, WireGuard handshake and the packet that waited for both. Compared with
round trips of the bare network between the same hosts, measured by ping in the same run.
"""

import argparse
import json
import re
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.sniffer import Sniffer
from bench.two_nodes import two_nodes

from shadowmesh.demo.actors import LightNode
from shadowmesh.lab.host import Host
from shadowmesh.wire.first_byte import ControlType

ROUND_TRIPS_MS = (0.0, 40.0)
FIRST_MESSAGE = 1  # M1, in the third byte (docs/spec/session.md)
WIREGUARD_DATA = 4
KEEPALIVE_BYTES = 32  # header and tag around nothing
GOAL_ROUND_TRIPS, GOAL_EXTRA_MS = 2.5, 10.0


@dataclass(frozen=True, slots=True)
class Figures:
    delay_ms: float  # of a round trip, as the lab was told
    round_trip_ms: float  # of the bare network, as ping measures it
    before: str
    first_data_ms: list[float] = field(default_factory=list)
    first_reply_ms: list[float] = field(default_factory=list)
    initiator_cpu_ms: list[float] = field(default_factory=list)
    responder_cpu_ms: list[float] = field(default_factory=list)

    @property
    def goal_ms(self) -> float:
        return GOAL_ROUND_TRIPS * self.round_trip_ms + GOAL_EXTRA_MS


def measure(delay_ms: float, repeat: int) -> list[Figures]:
    with two_nodes() as (alice, bob):
        if delay_ms:
            for node in (alice, bob):
                node.host.impair(delay_ms=delay_ms / 2)
        round_trip_ms = ping_ms(alice.host, str(bob.host.ipv4), 11)
        both, one = (Figures(delay_ms, round_trip_ms, who) for who in ("both begin", "responder has a session"))
        for _ in range(repeat):
            for figures in (one, both):
                alice.command("peers", "untrust", bob.fingerprint)  # her session ends, and she no longer answers him
                if figures is both:
                    forget(bob, alice)
                connect(alice, bob, figures)
        return [both, one]


def forget(node: LightNode, other: LightNode) -> None:
    """Ends the session. The node begins anew at once, but the other does not answer it yet."""
    node.command("peers", "untrust", other.fingerprint)
    node.trust(other)


def connect(alice: LightNode, bob: LightNode, figures: Figures) -> None:
    """Alice begins to trust bob while packets for him are waiting."""
    pinging = alice.host.start(["ping", "-n", "-i", "0.002", bob.overlay_address], name="pinging")
    with Sniffer(alice.host, bob.host) as sniffer:
        before = [cpu_ms(node.process.pid) for node in (alice, bob)]
        alice.trust(bob)
        began_at, data_at, reply_at = times_on_the_wire(sniffer)
        after = [cpu_ms(node.process.pid) for node in (alice, bob)]
    pinging.stop()
    figures.first_data_ms.append(data_at - began_at)
    figures.first_reply_ms.append(reply_at - began_at)
    figures.initiator_cpu_ms.append(after[0] - before[0])
    figures.responder_cpu_ms.append(after[1] - before[1])


def times_on_the_wire(sniffer: Sniffer) -> tuple[float, float, float]:
    """When the session's first datagram left, when the first data left and when the first came back, in ms."""
    began_at = data_at = 0.0
    for datagram in sniffer.datagrams(30):
        first, message = datagram.payload[0], datagram.payload[2]
        if datagram.is_outgoing and first == ControlType.SESSION and message == FIRST_MESSAGE:
            began_at = began_at or datagram.at_ms
        if began_at and first == WIREGUARD_DATA and len(datagram.payload) > KEEPALIVE_BYTES:
            if not datagram.is_outgoing:
                return began_at, data_at, datagram.at_ms
            data_at = data_at or datagram.at_ms
    raise AssertionError("unreachable: the iterator raises")


def ping_ms(host: Host, address: str, count: int) -> float:
    """Median. Raises CommandError if nothing comes back."""
    printed = host.run(["ping", "-n", "-c", str(count), "-i", "0.2", "-W", "10", address], timeout_s=60).stdout
    return statistics.median(float(text) for text in re.findall(r"time=([\d.]+) ms", printed))


def cpu_ms(pid: int) -> float:
    """Of all threads, to the nanosecond (the first field of /proc/PID/task/*/schedstat)."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


def line(figures: Figures) -> str:
    wall, data = statistics.median(figures.first_reply_ms), statistics.median(figures.first_data_ms)
    spread = f"({min(figures.first_reply_ms):.1f}-{max(figures.first_reply_ms):.1f})"
    reached = "reached" if wall <= figures.goal_ms else "MISSED"
    cpu = f"{statistics.median(figures.initiator_cpu_ms):.1f} + {statistics.median(figures.responder_cpu_ms):.1f} ms"
    return (
        f"{figures.before:25} round trip {figures.round_trip_ms:5.2f} ms: first data {data:6.1f} ms,"
        f" reply {wall:6.1f} ms {spread}, goal {figures.goal_ms:.1f} ms {reached}; CPU {cpu}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="all figures, for a program to read")
    arguments = parser.parse_args()
    measured = [figures for delay_ms in ROUND_TRIPS_MS for figures in measure(delay_ms, arguments.repeat)]
    print(
        json.dumps([asdict(figures) for figures in measured], indent=2)
        if arguments.json
        else "\n".join(map(line, measured))
    )


if __name__ == "__main__":
    main()
