"""Somebody changes the MTU of the device while the engine runs."""

import pytest

from .capture import Capture, capture
from .engine_lab import FAR, NEAR, pings, transfers, tunnel, until

pytestmark = pytest.mark.privileged

TRANSFER_BYTES = 5_000_000
DATA = b"\x04\0\0\0"
OUTER_BYTES = 40 + 8 + 32  # IPv6, UDP, WireGuard


@pytest.mark.parametrize("mtu", [1279, 1000, 601])
def test_a_smaller_mtu_makes_smaller_packets_and_none_is_padded_beyond_it(mtu: int) -> None:
    with tunnel(near_without=["udp_gso"]) as (near_host, far_host, near, far), capture(near_host, "eth0") as uplink:
        near_host.namespace.ip([f"link set {near.tun} mtu {mtu}"])

        def is_noticed() -> bool:
            assert pings(near_host, FAR.ipv4, count=1, size=mtu - 28)
            return largest_inner_bytes(uplink) == mtu

        until(is_noticed)
        assert transfers(near_host, far_host, FAR.ipv4, TRANSFER_BYTES)
        assert largest_inner_bytes(uplink) == mtu
        assert transfers(far_host, near_host, NEAR.ipv4, TRANSFER_BYTES)
        assert far.counters().drops["malformed_packet"] == 0


@pytest.mark.parametrize("mtu", [1281, 4000, 40_000])
def test_a_larger_mtu_is_used_as_far_as_both_ends_have_it(mtu: int) -> None:
    with tunnel() as (near_host, far_host, near, far):
        near_host.namespace.ip([f"link set {near.tun} mtu {mtu}"])
        for address in (FAR.ipv4, FAR.ipv6):
            assert transfers(near_host, far_host, address, TRANSFER_BYTES)
        far_host.namespace.ip([f"link set {far.tun} mtu {mtu}"])
        for address in (FAR.ipv4, FAR.ipv6):
            assert pings(near_host, address, size=mtu - 48)
            assert transfers(near_host, far_host, address, TRANSFER_BYTES)


def test_packets_that_no_datagram_can_carry_are_counted_and_harm_nothing() -> None:
    with tunnel() as (near_host, far_host, near, _):
        near_host.namespace.ip([f"link set {near.tun} mtu 65535"])
        assert not pings(near_host, FAR.ipv4, count=1, size=65_500, timeout_s=1)
        assert near.counters().drops["udp_send"] == 1
        assert transfers(near_host, far_host, FAR.ipv4, TRANSFER_BYTES)


def largest_inner_bytes(uplink: Capture) -> int:
    """With padding, of what has been sent since the last call."""
    data = [packet for packet in uplink.packets() if packet.is_outgoing and packet.udp_payload.startswith(DATA)]
    return max(packet.length for packet in data) - OUTER_BYTES
