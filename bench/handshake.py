"""From the first datagram of who begins a session to the first data at the peer, and the CPU time of either side.

    python -m bench.handshake --repeat 10

Needs root. Real nodes: post-quantum exchange, WireGuard handshake and the packet that waited for both. Compared with
round trips of the bare network between the same hosts, measured by ping in the same run. Nothing else runs meanwhile:
the wire is read afterwards, with the kernel's times.
"""

import argparse
import json
import os
import re
import socket
import statistics
import struct
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path

import msgspec
from bench.sniffer import Datagram, Sniffer
from bench.two_nodes import two_nodes

from shadowmesh.control.client import UnixConnection, call
from shadowmesh.control.home import Home
from shadowmesh.control.routes import TRUST, UNTRUST
from shadowmesh.control.schema import PeerRequest, TrustRequest
from shadowmesh.demo.actors import LightNode
from shadowmesh.identity.keys import SEED_BYTES, Identity
from shadowmesh.lab.host import Host
from shadowmesh.session.kem import KEM_SEED_BYTES, DecapsulationKey, encapsulate

ROUND_TRIPS_MS = (0.0, 40.0)
WIREGUARD_DATA = 4
KEEPALIVE_BYTES = 32  # header and tag around nothing
# M1, M2, M3 with WireGuard's initiation, its response, data: five ways. A reply to that takes one more.
GOAL_ROUND_TRIPS, GOAL_EXTRA_MS = 2.5, 10.0
SETTLE_S = 1.0
REFUSED_FOR_S = 0.3
HELD_S = 0.02  # an engine that has a packet for nobody it knows keeps it longer
CRYPTOGRAPHY_RUNS = 200
ECHO_REQUEST = struct.pack("!BBHHH", 128, 0, 0, 1, 1)  # ICMPv6; the kernel fills in the checksum


@dataclass(frozen=True, slots=True)
class Figures:
    delay_ms: float  # of a round trip, as the lab was told
    round_trip_ms: float  # of the bare network, as ping measures it
    before: str
    first_data_ms: list[float] = field(default_factory=list)  # until it has come, to whichever side gets it first
    first_reply_ms: list[float] = field(default_factory=list)
    initiator_cpu_ms: list[float] = field(default_factory=list)
    responder_cpu_ms: list[float] = field(default_factory=list)

    @property
    def goal_ms(self) -> float:
        return GOAL_ROUND_TRIPS * self.round_trip_ms + GOAL_EXTRA_MS


def measure(delay_ms: float, repeat: int) -> list[Figures]:
    with two_nodes() as (alice, bob):
        if delay_ms:
            alice.host.impair(delay_ms=delay_ms / 2, both_ways=True)
        round_trip_ms = ping_ms(alice.host, str(bob.host.ipv4), 11)
        names = ("the other has an old session", "the other was refused until now", "both begin at once")
        restarted, refused, together = rows = [Figures(delay_ms, round_trip_ms, name) for name in names]
        for _ in range(repeat):
            forget(alice, bob)
            connect((alice, bob), [alice], [alice], restarted)

            forget(alice, bob)
            forget(bob, alice)
            trust(bob, alice)
            time.sleep(REFUSED_FOR_S)
            connect((alice, bob), [alice], [alice, bob], refused)

            forget(alice, bob)
            forget(bob, alice)
            time.sleep(REFUSED_FOR_S)
            connect((alice, bob), [alice, bob], [alice, bob], together)
        return rows


def connect(
    nodes: tuple[LightNode, LightNode], beginners: Sequence[LightNode], senders: Sequence[LightNode], figures: Figures
) -> None:
    """The beginners begin to trust the other one, and a packet of each sender waits for the session.

    What they answer is read afterwards: between the request and the data nobody but the nodes has anything to do.
    """
    alice, bob = nodes
    with ExitStack() as stack:
        near, far = (
            stack.enter_context(Sniffer(node.host, other.host)) for node, other in ((alice, bob), (bob, alice))
        )
        connections = [stack.enter_context(closing(UnixConnection(Home(node.home), SETTLE_S))) for node in beginners]
        requests = [trust_request(other_of(node, nodes)) for node in beginners]
        for connection in connections:
            connection.connect()
        for node in senders:
            stack.enter_context(echo_socket(node.host)).sendto(ECHO_REQUEST, (other_of(node, nodes).overlay_address, 0))
        time.sleep(HELD_S)
        before = [cpu_ms(node.process.pid) for node in nodes]
        for connection, request in zip(connections, requests, strict=True):
            connection.request(TRUST.method, TRUST.path, msgspec.json.encode(request))
        time.sleep(SETTLE_S)
        after = [cpu_ms(node.process.pid) for node in nodes]
        for connection in connections:
            if connection.getresponse().status != HTTPStatus.OK:
                raise RuntimeError("a node refuses to trust the other")
        at_alice, at_bob = list(near.datagrams()), list(far.datagrams())
    sent = [
        each.at_ms
        for node, seen in zip(nodes, (at_alice, at_bob), strict=True)
        if node in beginners
        for each in seen
        if each.is_outgoing
    ]
    began_at_ms = min(sent)
    arrived_at_ms = sorted(map(arrival_of_data, (at_alice, at_bob)))
    figures.first_data_ms.append(arrived_at_ms[0] - began_at_ms)
    figures.first_reply_ms.append(arrived_at_ms[1] - began_at_ms)
    figures.initiator_cpu_ms.append(after[0] - before[0])
    figures.responder_cpu_ms.append(after[1] - before[1])


def other_of(node: LightNode, nodes: tuple[LightNode, LightNode]) -> LightNode:
    return nodes[1] if node is nodes[0] else nodes[0]


def arrival_of_data(datagrams: Sequence[Datagram]) -> float:
    """Raises ValueError when none has come."""
    return min(
        each.at_ms
        for each in datagrams
        if not each.is_outgoing and each.payload[0] == WIREGUARD_DATA and len(each.payload) > KEEPALIVE_BYTES
    )


def trust(node: LightNode, other: LightNode) -> None:
    call(Home(node.home), TRUST, trust_request(other))


def trust_request(other: LightNode) -> TrustRequest:
    return TrustRequest(fingerprint=other.fingerprint, name=other.host.name)


def forget(node: LightNode, other: LightNode) -> None:
    """Ends the session of this side, which no longer answers the other."""
    call(Home(node.home), UNTRUST, PeerRequest(peer=other.fingerprint))


def echo_socket(host: Host) -> socket.socket:
    with host.enter():
        return socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)


def ping_ms(host: Host, address: str, count: int) -> float:
    """Median. Raises CommandError if nothing comes back."""
    printed = host.run(["ping", "-n", "-c", str(count), "-i", "0.2", "-W", "10", address], timeout_s=60).stdout
    return statistics.median(float(text) for text in re.findall(r"time=([\d.]+) ms", printed))


def cpu_ms(pid: int) -> float:
    """Of all threads, to the nanosecond (the first field of /proc/PID/task/*/schedstat)."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


def cryptography_ms() -> float:
    """What nobody can avoid in one exchange, one after the other on a warm core: median."""
    identity, message, times = Identity(os.urandom(SEED_BYTES)), os.urandom(32), []
    for _ in range(CRYPTOGRAPHY_RUNS):
        began = time.perf_counter()
        key = DecapsulationKey(os.urandom(KEM_SEED_BYTES))
        key.decapsulate(encapsulate(key.encapsulation_key)[1])
        for _ in ("responder", "initiator"):
            identity.public.verify(identity.sign(message, context=b"bench"), message, context=b"bench")
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def line(figures: Figures) -> str:
    data, reply = statistics.median(figures.first_data_ms), statistics.median(figures.first_reply_ms)
    spread = f"({min(figures.first_data_ms):.1f}-{max(figures.first_data_ms):.1f})"
    reached = "reached" if data <= figures.goal_ms else "MISSED"
    cpu = f"{statistics.median(figures.initiator_cpu_ms):.1f} + {statistics.median(figures.responder_cpu_ms):.1f} ms"
    return (
        f"{figures.before:31} round trip {figures.round_trip_ms:5.2f} ms: first data {data:6.1f} ms {spread},"
        f" goal {figures.goal_ms:.1f} ms {reached}; first reply {reply:.1f} ms; CPU {cpu}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="all figures, for a program to read")
    arguments = parser.parse_args()
    cryptography = cryptography_ms()
    measured = [figures for delay_ms in ROUND_TRIPS_MS for figures in measure(delay_ms, arguments.repeat)]
    if arguments.json:
        rows = [asdict(figures) for figures in measured]
        print(json.dumps({"cryptography_ms": cryptography, "rows": rows}, indent=2))
    else:
        print(*map(line, measured), f"of which signatures and ML-KEM, warm: {cryptography:.1f} ms", sep="\n")


if __name__ == "__main__":
    main()
