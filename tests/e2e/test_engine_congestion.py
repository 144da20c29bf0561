"""The traffic class across the tunnel, with real sockets and marks that the path makes (RFC 6040)."""

import os
import socket
from dataclasses import dataclass

import pytest

from shadowmesh.lab.host import Host

from .capture import capture
from .engine_lab import FAR, transfers, tunnel, udp_pair, until

pytestmark = pytest.mark.privileged

NOT_ECT, ECT_1, ECT_0, CE = range(4)
ECN_NAMES = {NOT_ECT: "not-ect", ECT_1: "ect1", ECT_0: "ect0", CE: "ce"}
EXPEDITED = 0xB8  # DSCP 46
DATA = b"\x04\0\0\0"  # the first bytes of a WireGuard data datagram
OFFLOADS = ("tun_checksum", "tun_tso", "tun_uso", "udp_gso", "udp_gro")

# RFC 6040, figure 4: inner, then outer; None is dropped.
FIGURE_4: dict[int, dict[int, int | None]] = {
    NOT_ECT: {NOT_ECT: NOT_ECT, ECT_0: NOT_ECT, ECT_1: NOT_ECT, CE: None},
    ECT_0: {NOT_ECT: ECT_0, ECT_0: ECT_0, ECT_1: ECT_1, CE: CE},
    ECT_1: {NOT_ECT: ECT_1, ECT_0: ECT_1, ECT_1: ECT_1, CE: CE},
    CE: {NOT_ECT: CE, ECT_0: CE, ECT_1: CE, CE: CE},
}


@pytest.mark.parametrize("without", [(), OFFLOADS], ids=["all", "none"])
@pytest.mark.parametrize("over", ["ipv4", "ipv6"])
def test_the_outer_header_carries_the_inner_traffic_class(over: str, without: tuple[str, ...]) -> None:
    with (
        tunnel(over=over, near_without=without, far_without=without) as (near_host, far_host, _, _),
        capture(far_host, "eth0") as wire,
    ):
        for inner in ("ipv4", "ipv6"):
            flow = Flow(near_host, far_host, getattr(FAR, inner))
            with flow.source, flow.sink:
                for traffic_class in (0, ECT_0, EXPEDITED, EXPEDITED | ECT_1, 0xFF):
                    flow.send(bytes(1000), traffic_class)
                    assert flow.receive() == (bytes(1000), traffic_class)
                    outer = [packet for packet in wire.packets() if packet.udp_payload.startswith(DATA)]
                    assert [packet.traffic_class for packet in outer] == [traffic_class]
                    assert outer[0].is_ipv4 == (over == "ipv4")


@pytest.mark.parametrize("over", ["ipv4", "ipv6"])
def test_datagrams_of_different_classes_are_neither_sent_nor_joined_as_one(over: str) -> None:
    with tunnel(over=over) as (near_host, far_host, _, _):
        for address in (FAR.ipv4, FAR.ipv6):
            flow = Flow(near_host, far_host, address)
            with flow.source, flow.sink:
                sent = [(os.urandom(900), (0, ECT_0, ECT_0, EXPEDITED)[number % 4]) for number in range(200)]
                for datagram, traffic_class in sent:
                    flow.send(datagram, traffic_class)
                assert [flow.receive() for _ in sent] == sent


@pytest.mark.parametrize("outer", ECN_NAMES, ids=ECN_NAMES.values())
@pytest.mark.parametrize("over", ["ipv4", "ipv6"])
def test_what_the_path_marks_is_told_to_the_inner_packet(over: str, outer: int) -> None:
    with tunnel(over=over) as (near_host, far_host, _, far):
        mark(far_host, far.port, ECN_NAMES[outer])
        for address in (FAR.ipv4, FAR.ipv6):
            flow = Flow(near_host, far_host, address)
            with flow.source, flow.sink:
                for inner in ECN_NAMES:
                    flow.send(b"marked", EXPEDITED | inner)
                    if (told := FIGURE_4[inner][outer]) is not None:
                        assert flow.receive() == (b"marked", EXPEDITED | told)
        dropped = 2 if outer == CE else 0  # one of each family
        until(lambda: far.counters().drops["congestion"] == dropped)


@pytest.mark.parametrize("address", [FAR.ipv4, FAR.ipv6])
def test_a_tcp_sender_learns_of_the_congestion_and_nothing_is_harmed(address: str) -> None:
    with tunnel() as (near_host, far_host, _, far):
        for host in (near_host, far_host):
            host.namespace.sysctl("ipv4/tcp_ecn", "1")
        mark(far_host, far.port, "ce", one_in=20)
        assert transfers(near_host, far_host, address)
        assert statistic(near_host, "TCPDeliveredCE") > 0


@dataclass(slots=True)
class Flow:
    """UDP from one host to another; the receiver is told each datagram's traffic class."""

    source: socket.socket
    sink: socket.socket

    def __init__(self, sender: Host, receiver: Host, address: str) -> None:
        self.source, self.sink = udp_pair(sender, receiver, address)
        self.sink.setsockopt(*self._option(receives=True), 1)

    def send(self, datagram: bytes, traffic_class: int) -> None:
        level, name = self._option(receives=False)
        self.source.sendmsg([datagram], [(level, name, traffic_class.to_bytes(4, "little"))])

    def receive(self) -> tuple[bytes, int]:
        datagram, ancillary, _, _ = self.sink.recvmsg(65536, 64)
        (_, _, value) = ancillary[0]
        return datagram, value[0]

    def _option(self, *, receives: bool) -> tuple[int, int]:
        if self.sink.family == socket.AF_INET:
            return socket.IPPROTO_IP, 13 if receives else socket.IP_TOS  # IP_RECVTOS
        return socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS if receives else socket.IPV6_TCLASS


def mark(host: Host, port: int, ecn: str, *, one_in: int = 1) -> None:
    """Rewrites the ECN field of datagrams that come to the port, before the socket sees them.

    Not of the first one: as it opens a connection it is not ECT, and TCP would do without ECN after its loss.
    """
    rules = [
        f"udp dport {port} numgen inc mod {one_in} == {one_in - 1} {family} ecn set {ecn}" for family in ("ip", "ip6")
    ]
    chain = ["type filter hook prerouting priority 0", *rules]
    host.run(["nft", "-f", "-"], stdin="table inet path { chain in {\n" + "\n".join(chain) + "\n}\n}\n")


def statistic(host: Host, name: str) -> int:
    """A counter of the host's TCP."""
    lines = host.run(["cat", "/proc/net/netstat"]).stdout.splitlines()
    names, values = (line.split() for line in lines if line.startswith("TcpExt:"))
    return int(values[names.index(name)])
