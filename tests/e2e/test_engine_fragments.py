"""Inner packets that are not plain TCP or UDP behind a plain IP header."""

import os
import socket

import pytest

from .capture import capture
from .engine_lab import FAR, NEAR, transfers, tunnel, udp_pair

pytestmark = pytest.mark.privileged

FRAGMENTED_BYTES = 8_000  # seven fragments at the overlay's MTU of 1,280
IPV4_OPTIONS = b"\x01\x01\x01\x00"  # three times no operation, and the end
IPV6_HOPOPTS, IPV6_DSTOPTS = 54, 59
VERSION_AT, NEXT_HEADER_AT = 0, 6
PADDING_OPTIONS = b"\x00\x00\x01\x04\x00\x00\x00\x00"  # 8 bytes: next header, length, PadN of 6


@pytest.mark.parametrize(("near", "far"), [(NEAR.ipv4, FAR.ipv4), (NEAR.ipv6, FAR.ipv6)], ids=["ipv4", "ipv6"])
def test_datagrams_that_the_host_has_fragmented_arrive_whole(near: str, far: str) -> None:
    with tunnel() as (near_host, far_host, _, engine), capture(far_host, str(engine.tun)) as device:
        for sender, receiver, address in ((near_host, far_host, far), (far_host, near_host, near)):
            source, sink = udp_pair(sender, receiver, address)
            with source, sink:
                sent = [os.urandom(size) for size in (FRAGMENTED_BYTES, 100, 1300) * 20]
                for datagram in sent:
                    source.send(datagram)
                assert [sink.recv(65536) for _ in sent] == sent
        fragments = [packet for packet in device.packets() if packet.is_fragment]
        assert len(fragments) >= 2 * 20 * 7
        assert max(packet.length for packet in fragments) <= 1280, "none was joined with another"


@pytest.mark.parametrize(
    ("address", "option", "at", "byte"),
    [
        (FAR.ipv4, (socket.IPPROTO_IP, socket.IP_OPTIONS, IPV4_OPTIONS), VERSION_AT, 0x46),
        (FAR.ipv6, (socket.IPPROTO_IPV6, IPV6_HOPOPTS, PADDING_OPTIONS), NEXT_HEADER_AT, 0),
        (FAR.ipv6, (socket.IPPROTO_IPV6, IPV6_DSTOPTS, PADDING_OPTIONS), NEXT_HEADER_AT, 60),
    ],
    ids=["ipv4-options", "ipv6-hop-by-hop", "ipv6-destination-options"],
)
def test_options_and_extension_headers_pass(address: str, option: tuple[int, int, bytes], at: int, byte: int) -> None:
    with tunnel() as (near_host, far_host, _, far), capture(far_host, str(far.tun)) as device:
        source, sink = udp_pair(near_host, far_host, address)
        with source, sink:
            source.setsockopt(*option)
            sent = [os.urandom(size) for size in (1, 500, 500, 1000, FRAGMENTED_BYTES)]
            for datagram in sent:
                source.send(datagram)
            assert [sink.recv(65536) for _ in sent] == sent
        assert [packet.head[at] for packet in device.packets()].count(byte) >= len(sent)
        assert transfers(near_host, far_host, address, 5_000_000, prepare=lambda client: client.setsockopt(*option))
