"""Bytes as a kernel sent them (Linux 6, `ip` in a namespace of its own)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.node.netlink import AddressChange, LinkChange, RouteChange, decode

NEW_ADDRESS = bytes.fromhex(
    "50000000140000000faf096bd4290000021880000300000008000100c000020708000200c00002070a00030077696669300000000800080080"
    "00000014000600ffffffffffffffff73f60d0073f60d00"
)
DEFAULT_ROUTE = bytes.fromhex(
    "34000000180000060faf096bd529000002000000fe0300010000000008000f00fe00000008000500c00002010800040003000000"
)
OTHER_ROUTE = bytes.fromhex(
    "3c000000180000060faf096bd629000002180000fe0300010000000008000f00fe00000008000100c633640008000500c00002010800040003"
    "000000"
)
UP, RUNNING = 0x1, 0x40


def link(index: int, name: str, flags: int, *, kind: int = 16) -> bytes:
    """As the kernel's, without the forty attributes that nobody reads."""
    text = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(text), 3) + text
    body = struct.pack("=BxHiII", 0, 1, index, flags, 0) + attribute.ljust(-(-len(attribute) // 4) * 4, b"\0")
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_a_new_address_is_told_with_its_link() -> None:
    assert decode(NEW_ADDRESS) == [AddressChange(3)]


def test_only_default_routes_count() -> None:
    assert decode(DEFAULT_ROUTE) == [RouteChange()]
    assert decode(OTHER_ROUTE) == []


@pytest.mark.parametrize(("flags", "running"), [(UP | RUNNING, True), (UP, False), (0, False)])
def test_a_link_runs_when_it_is_up_and_has_a_carrier(flags: int, running: bool) -> None:
    assert decode(link(2, "wifi0", flags)) == [LinkChange(2, "wifi0", running)]


def test_a_link_that_is_removed_does_not_run() -> None:
    assert decode(link(2, "wifi0", UP | RUNNING, kind=17)) == [LinkChange(2, "wifi0", False)]


def test_several_messages_of_one_datagram_come_in_their_order() -> None:
    assert decode(link(2, "a", RUNNING) + OTHER_ROUTE + NEW_ADDRESS + DEFAULT_ROUTE) == [
        LinkChange(2, "a", True),
        AddressChange(3),
        RouteChange(),
    ]


@pytest.mark.parametrize("message", [NEW_ADDRESS, DEFAULT_ROUTE, link(2, "wifi0", RUNNING)])
def test_what_is_cut_short_is_left_out(message: bytes) -> None:
    assert all(decode(message[:length]) == [] for length in range(len(message)))


@given(st.binary(max_size=200))
def test_random_bytes_never_raise(data: bytes) -> None:
    decode(data)


@given(st.sampled_from([16, 17, 20, 21, 24, 25]), st.binary(max_size=80))
def test_messages_with_random_bodies_never_raise(kind: int, body: bytes) -> None:
    changes = decode(struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body)
    assert len(changes) <= 1
