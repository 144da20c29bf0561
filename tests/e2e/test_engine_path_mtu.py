"""Links that are narrower than what the engine sends."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from shadowmesh._engine import Engine
from shadowmesh.demo.actors import start_pair
from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network

from .engine_lab import FAR, NEAR, engine_on, introduce, pings, transfers, tunnel

pytestmark = pytest.mark.privileged

TRANSFER_BYTES = 5_000_000
MTU = 1280
SILENCE = """
table inet silence { chain out {
type filter hook output priority 0
icmp type destination-unreachable drop
icmpv6 type packet-too-big drop
}
}
"""
NO_UDP_OVER_IPV4 = """
table ip one_way { chain forward {
type filter hook forward priority 0
udp dport 0-65535 drop
}
}
"""


@pytest.mark.parametrize(
    ("over", "link_mtu"),
    [("ipv4", 1300), ("ipv4", 1280), ("ipv4", 1200), ("ipv4", 576), ("ipv6", 1300), ("ipv6", 1280)],
)
def test_the_own_link_may_be_narrow(over: str, link_mtu: int) -> None:
    with tunnel(over=over, link_mtu=link_mtu) as (near_host, far_host, near, far):
        assert carries_everything(near_host, far_host)
        assert [engine.counters().drops["udp_send"] for engine in (near, far)] == [0, 0]


@pytest.mark.parametrize("silence", ["", SILENCE], ids=["", "silenced"])
@pytest.mark.parametrize("path_mtu", [1280, 1200, 576])
def test_a_link_behind_a_router_may_be_narrow_on_ipv4(path_mtu: int, silence: str) -> None:
    with routed("ipv4", path_mtu, silence=silence) as (near_host, far_host, _, _):
        assert carries_everything(near_host, far_host)


def test_a_link_behind_a_router_may_be_narrow_on_ipv6() -> None:
    with routed("ipv6", 1280) as (near_host, far_host, _, _):
        assert carries_everything(near_host, far_host)


def test_a_narrow_ipv6_path_whose_routers_are_silenced_carries_everything_once_it_is_called_narrow() -> None:
    with routed("ipv6", 1280, silence=SILENCE) as (near_host, far_host, near, far):
        assert pings(near_host, FAR.ipv6)
        assert not pings(near_host, FAR.ipv6, size=MTU - 48, timeout_s=1)
        for host, engine, peer in ((near_host, near, far), (far_host, far, near)):
            with host.enter():  # it looks up the route
                engine.path_is_narrow(peer.public_key)
        assert carries_everything(near_host, far_host)
        assert [engine.counters().drops["udp_send"] for engine in (near, far)] == [0, 0]


def test_calling_an_ipv4_path_narrow_changes_nothing() -> None:
    with tunnel(over="ipv4") as (near_host, far_host, near, far):
        near.path_is_narrow(far.public_key)
        assert carries_everything(near_host, far_host)


def test_two_nodes_find_out_by_themselves_that_their_ipv6_path_is_narrow(tmp_path: Path) -> None:
    with routed_hosts(1280, silence=SILENCE + NO_UDP_OVER_IPV4) as (near_host, left, far_host):
        near, far, _ = start_pair((left, near_host, far_host), tmp_path)
        assert transfers(near_host, far_host, far.overlay_address, TRANSFER_BYTES)
        assert transfers(far_host, near_host, near.overlay_address, TRANSFER_BYTES)
        assert [node.peer(other)["path_narrow"] for node, other in ((near, far), (far, near))] == [True, True]


def carries_everything(near_host: Host, far_host: Host) -> bool:
    """Whether packets of the overlay's whole MTU pass, and bulk transfers both ways."""
    largest = [pings(near_host, FAR.ipv4, size=MTU - 28), pings(near_host, FAR.ipv6, size=MTU - 48)]
    bulk = [
        transfers(near_host, far_host, FAR.ipv6, TRANSFER_BYTES),
        transfers(far_host, near_host, NEAR.ipv4, TRANSFER_BYTES),
    ]
    return all(largest + bulk)


@contextmanager
def routed(over: str, path_mtu: int, *, silence: str = "") -> Iterator[tuple[Host, Host, Engine, Engine]]:
    """Two engines with a session, and between them two routers with a narrow link, which may be silenced."""
    with routed_hosts(path_mtu, silence=silence) as (near_host, _, far_host), ExitStack() as stack:
        near = stack.enter_context(engine_on(near_host, NEAR))
        far = stack.enter_context(engine_on(far_host, FAR))
        introduce(near_host, near, far_host, far, over=over)
        yield near_host, far_host, near, far


@contextmanager
def routed_hosts(path_mtu: int, *, silence: str = "") -> Iterator[tuple[Host, Host, Host]]:
    """The one end, the router beside it, and the other end."""
    with Network() as network:
        hosts = [network.host(name, on_switch=False) for name in ("near", "left", "right", "far")]
        near, left, right, far = hosts
        links = [network.link(near, left), network.link(left, right), network.link(right, far)]
        for host, hop in ((near, links[0].far), (left, links[1].far), (right, links[1].near), (far, links[2].near)):
            host.namespace.ip([f"route add default via {address.ip}" for address in hop.addresses])
        for router, interface in ((left, links[1].near.interface), (right, links[1].far.interface)):
            router.namespace.sysctl("ipv4/ip_forward", "1")
            router.namespace.sysctl("ipv6/conf/all/forwarding", "1")
            router.namespace.ip([f"link set {interface} mtu {path_mtu}"])
            if silence:
                router.run(["nft", "-f", "-"], stdin=silence)
        yield near, left, far
