"""What the system answers when a datagram cannot go out, or when one could not be delivered."""

import socket
from collections.abc import Callable

import pytest

from shadowmesh._engine import Engine, EngineFailed
from shadowmesh.lab.host import Host

from .engine_lab import FAR, NEAR, pings, transfers, tunnel, udp_pair, until

pytestmark = pytest.mark.privileged

TRANSFER_BYTES = 2_000_000


@pytest.mark.parametrize("over", ["ipv4", "ipv6"])
@pytest.mark.parametrize("kind", ["unreachable", "prohibit", "blackhole"])
def test_a_route_that_refuses_loses_packets_and_nothing_else(kind: str, over: str) -> None:
    """EHOSTUNREACH, EACCES, EINVAL."""
    with tunnel(over=over) as (near_host, far_host, near, _):
        destination = getattr(far_host, over)
        near_host.namespace.ip([f"route add {kind} {destination}"])
        loses_packets(near_host, near)
        near_host.namespace.ip([f"route del {kind} {destination}"])
        assert goes_on(near_host, far_host, near)


def test_a_firewall_that_refuses_loses_packets_and_nothing_else() -> None:
    """EPERM."""
    with tunnel() as (near_host, far_host, near, far):
        rule = f"type filter hook output priority 0\nudp dport {far.port} drop"
        near_host.run(["nft", "-f", "-"], stdin=f"table inet wall {{ chain out {{\n{rule}\n}}\n}}\n")
        loses_packets(near_host, near)
        near_host.run(["nft", "delete", "table", "inet", "wall"])
        assert goes_on(near_host, far_host, near)


def test_answers_that_nobody_listens_at_a_port_do_not_disturb_others() -> None:
    with tunnel(over="ipv4") as (near_host, far_host, near, _):
        with far_host.socket(socket.AF_INET) as unused:
            unused.bind((str(far_host.ipv4), 0))
            closed = unused.getsockname()[1]
        for host in (far_host.ipv4, far_host.ipv6):
            for _ in range(10):
                near.send([b"\x40"], (str(host), closed))
        assert goes_on(near_host, far_host, near)
        assert near.counters().drops["udp_send"] == 0


def test_a_socket_buffer_that_is_full_loses_packets_and_nothing_else() -> None:
    """EAGAIN."""
    with tunnel() as (near_host, far_host, near, _):
        # More waits in it than the socket's buffer holds.
        narrow(near_host, rate="8mbit", burst="64kb", limit="64mb")
        flood(near_host, far_host, lambda: near.counters().drops["udp_send"] > 0)
        near_host.namespace.tc("qdisc", "del", "dev", "eth0", "root")
        assert goes_on(near_host, far_host, near)


def test_a_queue_that_is_full_loses_packets_and_tcp_repairs_it() -> None:
    with tunnel() as (near_host, far_host, near, _):
        narrow(near_host, rate="40mbit", burst="16kb", limit="16kb")
        assert goes_on(near_host, far_host, near)


def test_an_uplink_that_is_removed_and_made_again_is_used_again() -> None:
    with tunnel() as (near_host, far_host, near, _):
        near_host.namespace.ip(["link del eth0"])
        loses_packets(near_host, near)
        peer = f"peer name eth0 netns {far_host.namespace.name}"
        near_host.namespace.ip([f"link add eth0 type veth {peer}"])
        for host in (near_host, far_host):
            addresses = [f"address add {address} dev eth0" for address in host.addresses]
            host.namespace.ip(["link set eth0 up", *addresses])
        assert goes_on(near_host, far_host, near)


def narrow(host: Host, *, rate: str, burst: str, limit: str) -> None:
    """Gives the uplink a queue of `limit` bytes that is emptied at `rate`."""
    token_bucket = ["tbf", "rate", rate, "burst", burst, "limit", limit]
    host.namespace.tc("qdisc", "replace", "dev", "eth0", "root", *token_bucket)


def loses_packets(host: Host, engine: Engine) -> None:
    before = engine.counters().drops["udp_send"]
    assert not pings(host, FAR.ipv6, count=2, timeout_s=1)
    assert engine.counters().drops["udp_send"] >= before + 2


def goes_on(near_host: Host, far_host: Host, near: Engine) -> bool:
    assert not any(isinstance(event, EngineFailed) for event in near.drain())
    until(lambda: pings(near_host, FAR.ipv4, count=1, timeout_s=1))
    forth = transfers(near_host, far_host, FAR.ipv6, TRANSFER_BYTES)
    return forth and transfers(far_host, near_host, NEAR.ipv4, TRANSFER_BYTES)


def flood(sender: Host, receiver: Host, is_enough: Callable[[], bool]) -> None:
    source, sink = udp_pair(sender, receiver, FAR.ipv4)
    with source, sink:

        def flooded() -> bool:
            for _ in range(1000):
                source.send(bytes(1200))
            return is_enough()

        until(flooded)
