"""Whatever the kernel can do or cannot do for the engine, what goes in comes out."""

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from shadowmesh._engine import Engine
from shadowmesh.lab.network import Network

from .capture import Capture, capture
from .engine_lab import FAR, NEAR, datagrams_arrive, engine_on, introduce, segmented_datagrams_arrive, transfers, tunnel
from .seccomp import Refusal, under

pytestmark = pytest.mark.privileged

NAMES = ("tun_checksum", "tun_tso", "tun_uso", "udp_gso", "udp_gro")
TRANSFER_BYTES = 20_000_000
UDP_GRO = 104
SO_NO_CHECK = 11
TUNSETOFFLOAD = 0x400454D0
LINK_MTU = 1500
MTU = 1280

# What the near engine does without, and the far one.
OFFLOADS = [((), ()), *(((name,), ()) for name in NAMES), (NAMES, NAMES)]


@pytest.mark.parametrize("over", ["ipv4", "ipv6"])
@pytest.mark.parametrize(("near_without", "far_without"), OFFLOADS, ids=["all", *NAMES, "none"])
def test_transfers_are_unharmed_with_each_offload_and_without_it(
    near_without: Sequence[str], far_without: Sequence[str], over: str
) -> None:
    with tunnel(over=over, near_without=near_without, far_without=far_without) as (near_host, far_host, near, far):
        for inner in ("ipv4", "ipv6"):
            near_address, far_address = getattr(NEAR, inner), getattr(FAR, inner)
            assert transfers(near_host, far_host, far_address, TRANSFER_BYTES)
            assert transfers(far_host, near_host, near_address, TRANSFER_BYTES)
            assert datagrams_arrive(near_host, far_host, far_address)
            assert datagrams_arrive(far_host, near_host, near_address)
            assert segmented_datagrams_arrive(near_host, far_host, far_address)
            assert segmented_datagrams_arrive(far_host, near_host, near_address)
        for engine in (near, far):
            drops = engine.counters().drops
            assert {name: drops[name] for name in ("malformed_packet", "tun_write", "udp_send")} == {
                "malformed_packet": 0,
                "tun_write": 0,
                "udp_send": 0,
            }


@pytest.mark.parametrize("name", [None, *NAMES])
def test_an_offload_that_is_switched_off_is_not_used_and_the_others_are(name: str | None) -> None:
    without = [] if name is None else [name]
    with (
        tunnel(near_without=without, far_without=without) as (near_host, far_host, near, far),
        capture(near_host, str(near.tun)) as near_device,
        capture(far_host, str(far.tun)) as far_device,
        capture(near_host, "eth0") as uplink,
    ):
        assert transfers(near_host, far_host, FAR.ipv4, 5_000_000)
        is_tso_used = name not in ("tun_tso", "tun_checksum")
        assert has_super_packets(near_device, MTU) == is_tso_used
        assert has_super_packets(far_device, MTU, is_outgoing=False) == is_tso_used
        assert has_super_packets(uplink, LINK_MTU) == (name != "udp_gso")
        assert segmented_datagrams_arrive(near_host, far_host, FAR.ipv6)
        is_uso_used = name not in ("tun_uso", "tun_checksum")
        assert has_super_packets(near_device, MTU) == is_uso_used
        assert has_super_packets(far_device, MTU, is_outgoing=False) == is_uso_used
        assert [uses_gro(engine) for engine in (near, far)] == [name != "udp_gro"] * 2


def test_a_kernel_that_knows_none_of_them_is_no_obstacle() -> None:
    refusals = [Refusal("ioctl", 1, TUNSETOFFLOAD), Refusal("setsockopt", 2, UDP_GRO, errno.ENOPROTOOPT)]
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        near_host, far_host = network.host("near"), network.host("far")
        near = under(refusals, lambda: stack.enter_context(engine_on(near_host, NEAR)))
        far = stack.enter_context(engine_on(far_host, FAR))
        assert [uses_gro(engine) for engine in (near, far)] == [False, True]
        introduce(near_host, near, far_host, far)
        with capture(near_host, str(near.tun)) as device:
            assert transfers(near_host, far_host, FAR.ipv6, TRANSFER_BYTES)
            assert segmented_datagrams_arrive(near_host, far_host, FAR.ipv4)
            assert not has_super_packets(device, MTU)
        assert transfers(far_host, near_host, NEAR.ipv4, TRANSFER_BYTES)
        assert segmented_datagrams_arrive(far_host, near_host, NEAR.ipv6)


def test_a_socket_that_cannot_send_segments_sends_single_datagrams() -> None:
    with tunnel(over="ipv4") as (near_host, far_host, near, _), capture(near_host, "eth0") as uplink:
        with own_socket(near) as port:
            # Without checksums the kernel segments nothing (EINVAL).
            port.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        assert transfers(near_host, far_host, FAR.ipv6, TRANSFER_BYTES)
        assert not has_super_packets(uplink, LINK_MTU)
        assert near.counters().drops["udp_send"] == 0


def has_super_packets(tap: Capture, mtu: int, *, is_outgoing: bool = True) -> bool:
    packets = [packet for packet in tap.packets() if packet.is_outgoing == is_outgoing]
    assert packets
    return any(packet.length > mtu for packet in packets)


def uses_gro(engine: Engine) -> bool:
    with own_socket(engine) as port:
        return port.getsockopt(socket.IPPROTO_UDP, UDP_GRO) == 1


def own_socket(engine: Engine) -> socket.socket:
    """Another descriptor of the engine's socket, which is one of this process."""
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            duplicate = socket.socket(fileno=os.dup(int(descriptor.name)))
        except OSError:  # no socket, or closed meanwhile
            continue
        is_udp = duplicate.type == socket.SOCK_DGRAM and duplicate.family == socket.AF_INET6
        if is_udp and duplicate.getsockname()[1] == engine.port:
            return duplicate
        duplicate.close()
    raise AssertionError("the engine has no socket")
