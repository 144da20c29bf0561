"""The engine without a device, as any user may run it: two of them on the loopback interface."""

import json
import os
import random
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shadowmesh._engine import (
    ControlDatagram,
    Engine,
    EngineError,
    Event,
    PeerHandshake,
    PeerRoamed,
    UnroutedPacket,
)
from shadowmesh.wire.first_byte import DatagramKind, classify

TIMEOUT_S = 10.0
AFTER_AN_INITIATION_S = 0.03  # a peer takes none within 20 ms, and that one is repeated after 5 s only
LOOPBACK = "127.0.0.1"
PSK = bytes(range(1, 33))
CONTROL = b"\x40"
VECTORS = Path(__file__).parents[2] / "docs/spec/vectors/first_byte.json"


@pytest.fixture
def near() -> Iterator[Engine]:
    engine = Engine(private_key=os.urandom(32))
    yield engine
    engine.stop()


@pytest.fixture
def far() -> Iterator[Engine]:
    engine = Engine(private_key=os.urandom(32))
    yield engine
    engine.stop()


@pytest.mark.parametrize("host", [LOOPBACK, "::1"])
def test_a_control_datagram_arrives_with_its_source(near: Engine, far: Engine, host: str) -> None:
    near.send([b"\x40hello"], (host, far.port))
    (event,) = wait_for(far, 1)
    assert isinstance(event, ControlDatagram)
    assert event.payload == b"\x40hello"
    assert event.source == (host, near.port)
    assert near.counters().control_sent == 1
    assert far.counters().control_received == 1


@pytest.mark.parametrize("host", [LOOPBACK, "::1"])
def test_another_port_sends_and_receives_until_it_is_closed(near: Engine, far: Engine, host: str) -> None:
    first, second = near.open_ports(2)
    near.send([b"\x40hello"], (host, far.port), via=first)
    (event,) = wait_for(far, 1)
    assert isinstance(event, ControlDatagram)
    assert (event.source, event.via) == ((host, first), 0)
    far.send([b"\x40you"], (host, second))
    (event,) = wait_for(near, 1)
    assert isinstance(event, ControlDatagram)
    assert (event.payload, event.via) == (b"\x40you", second)
    near.close_ports([first, second, 9])
    near.send([b"\x40hello"], (host, far.port), via=first)
    assert near.counters().drops["udp_send"] == 1
    far.send([b"\x40you"], (host, second))
    near.send([b"\x40main"], (host, far.port))
    (event,) = wait_for(far, 1)
    assert isinstance(event, ControlDatagram)
    assert event.source == (host, near.port)


def test_only_so_many_ports_are_open_at_a_time(near: Engine) -> None:
    opened = near.open_ports(10_000)
    assert len(set(opened)) == len(opened) == 1_280
    assert near.open_ports(1) == []
    near.close_ports(opened)
    assert len(near.open_ports(2)) == 2


def test_a_path_through_another_port_carries_the_packets_of_a_peer(near: Engine, far: Engine) -> None:
    (port,) = near.open_ports(1)
    near.add_peer(far.public_key, PSK, (LOOPBACK, far.port), ["10.0.0.2"], initiate=True, via=port, follow=False)
    far.add_peer(near.public_key, PSK, (LOOPBACK, near.port), ["10.0.0.1"], follow=False)
    events = wait_for(far, 2)
    assert {type(event) for event in events} == {PeerHandshake, PeerRoamed}
    (roamed,) = [event for event in events if isinstance(event, PeerRoamed)]
    assert (roamed.source, roamed.via) == ((LOOPBACK, port), 0)
    assert far.counters().peers[0].path == (LOOPBACK, near.port), "it is not followed"


def test_every_kind_of_datagram_goes_where_the_specification_says(near: Engine) -> None:
    vectors = [(bytes.fromhex(vector["hex"]), vector["kind"]) for vector in json.loads(VECTORS.read_text())]
    for datagram, _ in vectors:
        send_from_outside(near, datagram)
    send_from_outside(near, b"\x40last")
    wanted = [datagram for datagram, kind in vectors if kind in ("stun", "control")]
    events = wait_for(near, len(wanted) + 1)
    assert [event.payload for event in events if isinstance(event, ControlDatagram)] == [*wanted, b"\x40last"]
    drops = near.counters().drops
    assert drops["relay_frame"] == sum(kind == "relay" for _, kind in vectors)
    # The empty datagram has no first byte to count by.
    assert drops["unknown_datagram"] >= sum(kind == "unknown" for _, kind in vectors) - 1
    assert drops["wireguard_refused"] == sum(kind == "wireguard" for _, kind in vectors)


def test_the_engine_and_the_wire_package_have_the_same_table() -> None:
    for vector in json.loads(VECTORS.read_text()):
        assert classify(bytes.fromhex(vector["hex"])) is DatagramKind(vector["kind"]), vector


def test_events_come_in_order_and_no_more_at_once_than_asked_for(near: Engine, far: Engine) -> None:
    for number in range(10):
        near.send([CONTROL + bytes([number])], (LOOPBACK, far.port))
    until_received(far, 10)
    first, rest = far.drain(4), far.drain()
    payloads = [event.payload for event in [*first, *rest] if isinstance(event, ControlDatagram)]
    assert (len(first), len(rest)) == (4, 6)
    assert payloads == [CONTROL + bytes([number]) for number in range(10)]


def test_the_descriptor_is_readable_exactly_while_there_is_something_to_drain(near: Engine, far: Engine) -> None:
    assert not is_readable(far)
    for _ in range(3):
        near.send([CONTROL], (LOOPBACK, far.port))
    until_received(far, 3)
    assert is_readable(far)
    far.drain(2)
    assert is_readable(far)
    far.drain(2)
    assert not is_readable(far)
    assert far.drain() == []


def test_nobody_can_make_the_queue_grow_beyond_its_bound(near: Engine) -> None:
    for network in range(1, 20):
        flood(near, f"127.0.{network}.1", 400)
    until(lambda: near.counters().drops["control_queue_full"] > 0)
    assert len(near.drain(100_000)) == 1_024


def test_one_network_costs_only_so_much_and_another_one_is_heard_meanwhile(near: Engine, far: Engine) -> None:
    flood(near, "127.0.1.1", 6_000)
    until(lambda: near.counters().drops["control_rate"] > 1_000)
    assert near.counters().control_received >= 600
    far.send([b"\x44another"], ("::1", near.port))
    until(lambda: has_come(near, b"\x44another"))


def test_a_flood_from_its_network_does_not_silence_a_peer(near: Engine, far: Engine) -> None:
    near.add_peer(far.public_key, PSK, (LOOPBACK, far.port), ["10.0.0.2"])
    flood(near, LOOPBACK, 6_000)
    until(lambda: near.counters().drops["control_rate"] > 1_000)
    far.send([b"\x44probe"], (LOOPBACK, near.port))
    until(lambda: has_come(near, b"\x44probe"))


def test_garbage_of_every_kind_changes_nothing(near: Engine, far: Engine) -> None:
    introduce(near, far)
    wait_for(near, 1)
    chance = random.Random(7)  # noqa: S311 - a failure must repeat
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as outside:
        for _ in range(20_000):
            kind = chance.choice([b"\1\0\0\0", b"\2\0\0\0", b"\3\0\0\0", b"\4\0\0\0", b"\x50", b"\x3f", b"\0\7"])
            length = chance.choice([0, 28, 60, 88, 144, chance.randrange(1500)])
            outside.sendto(kind + chance.randbytes(length), (LOOPBACK, near.port))
    near.send([CONTROL], (LOOPBACK, far.port))
    far.send([CONTROL], (LOOPBACK, near.port))
    until_received(near, 1)
    (peer,) = near.counters().peers
    assert peer.path == (LOOPBACK, far.port)
    assert peer.rx_packets == 0
    assert [type(event) for event in near.drain()] == [ControlDatagram]


def test_a_datagram_longer_than_any_of_ours_is_dropped(near: Engine) -> None:
    send_from_outside(near, CONTROL + bytes(1312))
    send_from_outside(near, CONTROL + bytes(1311))
    (event,) = wait_for(near, 1)
    assert isinstance(event, ControlDatagram)
    assert len(event.payload) == 1312
    assert near.counters().drops["control_too_long"] == 1


def test_datagrams_that_are_sent_together_come_one_by_one_in_their_order(near: Engine, far: Engine) -> None:
    payloads = [CONTROL + bytes([number]) * (1200 - 100 * (number // 4)) for number in range(12)]
    near.send(payloads, (LOOPBACK, far.port))
    near.send([], (LOOPBACK, far.port))
    assert [event.payload for event in wait_for(far, 12) if isinstance(event, ControlDatagram)] == payloads
    assert (near.counters().control_sent, far.counters().control_received) == (12, 12)


@pytest.mark.parametrize("lengths", [[0], [1312, 0], [1, 1313]])
def test_if_one_datagram_has_no_length_that_is_sent_none_is(near: Engine, lengths: Sequence[int]) -> None:
    with pytest.raises(ValueError, match=f"{lengths[-1]} bytes, want 1 to 1312"):
        near.send([bytes(length) for length in lengths], (LOOPBACK, 9))
    assert near.counters().control_sent == 0


def test_the_longest_datagram_is_sent(near: Engine) -> None:
    near.send([bytes(1312)], (LOOPBACK, 9))
    assert near.counters().control_sent == 1


def test_sending_where_nobody_listens_is_no_error(near: Engine, far: Engine) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as unused:
        unused.bind((LOOPBACK, 0))
        port = unused.getsockname()[1]
    for _ in range(3):
        near.send([CONTROL], (LOOPBACK, port))
    near.send([CONTROL], (LOOPBACK, far.port))
    assert wait_for(far, 1)


@pytest.mark.parametrize("destination", [("localhost", 1), (LOOPBACK, 0), ("fe80::1%eth0", 1), ("", 1)])
def test_what_is_no_address_is_refused(near: Engine, destination: tuple[str, int]) -> None:
    with pytest.raises(ValueError, match="no IP address and port"):
        near.send([CONTROL], destination)


def test_two_engines_make_a_handshake_and_count_its_age(near: Engine, far: Engine) -> None:
    introduce(near, far)
    (here,), (there,) = wait_for(near, 1), wait_for(far, 1)
    assert isinstance(here, PeerHandshake)
    assert isinstance(there, PeerHandshake)
    assert (here.public_key, there.public_key) == (far.public_key, near.public_key)
    (peer,) = near.counters().peers
    assert peer.public_key == far.public_key
    assert peer.path == (LOOPBACK, far.port)
    assert peer.handshake_age_s is not None
    assert 0 <= peer.handshake_age_s < TIMEOUT_S


def test_a_new_psk_makes_a_new_handshake(near: Engine, far: Engine) -> None:
    introduce(near, far)
    wait_for(near, 1)
    wait_for(far, 1)
    time.sleep(AFTER_AN_INITIATION_S)
    introduce(near, far, bytes(31) + b"\1")
    assert isinstance(wait_for(near, 1)[0], PeerHandshake)
    assert isinstance(wait_for(far, 1)[0], PeerHandshake)


def test_a_removed_peer_is_gone_and_may_be_removed_again(near: Engine, far: Engine) -> None:
    introduce(near, far)
    near.remove_peer(far.public_key)
    near.remove_peer(far.public_key)
    assert near.counters().peers == []
    with pytest.raises(KeyError):
        near.set_path(far.public_key, (LOOPBACK, 1))


def test_a_path_can_be_changed(near: Engine, far: Engine) -> None:
    near.add_peer(far.public_key, PSK, (LOOPBACK, 9), ["10.0.0.2/32"])
    near.set_path(far.public_key, ("::1", 10))
    assert near.counters().peers[0].path == ("::1", 10)


def test_a_prefix_that_another_peer_has_is_refused(near: Engine, far: Engine) -> None:
    near.add_peer(far.public_key, PSK, (LOOPBACK, 9), ["10.0.0.2/32", "fd00::/64"])
    with pytest.raises(ValueError, match=r"another peer has fd00::/64"):
        near.add_peer(b"\x09" + bytes(31), PSK, (LOOPBACK, 9), ["10.0.0.3/32", "fd00::/64"])
    assert len(near.counters().peers) == 1
    near.add_peer(far.public_key, PSK, (LOOPBACK, 9), ["10.0.0.9/32"])
    near.add_peer(b"\x09" + bytes(31), PSK, (LOOPBACK, 9), ["fd00::/64"])


def test_keys_that_no_peer_may_have_are_refused(near: Engine) -> None:
    key = b"\x09" + bytes(31)
    for public_key, psk, complaint in [
        (key, bytes(32), "psk: all zero"),
        (key, bytes(31), "psk: 31 bytes"),
        (key[:31], PSK, "public_key: 31 bytes"),
        (bytes(32), PSK, "cannot be a peer's"),
        (near.public_key, PSK, "cannot be a peer's"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            near.add_peer(public_key, psk, (LOOPBACK, 9), [])
    assert near.counters().peers == []


@pytest.mark.parametrize("prefix", ["", "10.0.0.0/33", "example.org/8", "::/-1"])
def test_what_is_no_prefix_is_refused(near: Engine, prefix: str) -> None:
    with pytest.raises(ValueError, match="no address prefix"):
        near.add_peer(b"\x09" + bytes(31), PSK, (LOOPBACK, 9), [prefix])


def test_an_unknown_cipher_is_refused(near: Engine, far: Engine) -> None:
    with pytest.raises(ValueError, match='cipher: "rot13"'):
        near.add_peer(far.public_key, PSK, (LOOPBACK, 9), [], cipher="rot13")
    assert near.counters().peers == []


def test_the_engine_says_whether_the_processor_has_aes_instructions() -> None:
    flags = Path("/proc/cpuinfo").read_text().split()
    assert Engine.has_aes == ("aes" in flags and ("pclmulqdq" in flags or "pmull" in flags))


def test_wrong_settings_are_refused_before_anything_is_opened() -> None:
    key = os.urandom(32)
    with pytest.raises(ValueError, match="private_key: 31 bytes"):
        Engine(private_key=key[:31])
    with pytest.raises(ValueError, match="mtu: 1279"):
        Engine(private_key=key, mtu=1279)
    with pytest.raises(ValueError, match="no address with prefix length"):
        Engine(private_key=key, tun="sm%d", addresses=["10.0.0.1"])
    with pytest.raises(ValueError, match="port"):
        Engine(private_key=key, port=65536)
    with pytest.raises(
        ValueError, match=r'^without: "gso", want any of tun_checksum, tun_tso, tun_uso, udp_gso, udp_gro$'
    ):
        Engine(private_key=key, without=["udp_gro", "gso"])


def test_a_port_that_is_taken_is_an_error_of_one_line(near: Engine) -> None:
    with pytest.raises(EngineError, match=f"^UDP port {near.port}: .*in use") as refused:
        Engine(private_key=os.urandom(32), port=near.port)
    assert "\n" not in str(refused.value)


def test_a_device_name_that_the_kernel_cannot_have_is_an_error() -> None:
    with pytest.raises(EngineError, match="TUN device"):
        Engine(private_key=os.urandom(32), tun="a-name-that-is-too-long")


def test_the_public_key_is_that_of_the_private_key() -> None:
    private = os.urandom(32)
    engine = Engine(private_key=private)
    engine.stop()
    assert engine.public_key == X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def test_a_stopped_engine_refuses_commands_and_may_be_stopped_again(near: Engine, far: Engine) -> None:
    far.send([CONTROL], (LOOPBACK, near.port))
    until_received(near, 1)
    near.stop()
    near.stop()
    with pytest.raises(EngineError, match="the engine has stopped"):
        near.send([CONTROL], (LOOPBACK, 9))
    with pytest.raises(EngineError, match="the engine has stopped"):
        near.add_peer(far.public_key, PSK, (LOOPBACK, 9), [])
    assert near.counters().control_received == 1
    assert len(near.drain()) == 1


def test_a_stopped_engine_has_given_its_port_back(near: Engine) -> None:
    near.stop()
    again = Engine(private_key=os.urandom(32), port=near.port)
    assert again.port == near.port
    again.stop()


@pytest.mark.parametrize("ending", ["", "engine.stop()", "del engine", "raise SystemExit(0)"])
def test_the_interpreter_ends_cleanly_with_an_engine_under_load(ending: str) -> None:
    program = f"""
import os, socket
from shadowmesh._engine import Engine
engine = Engine(private_key=os.urandom(32))
outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(200):
    outside.sendto(b"\\x40" * 100, ("127.0.0.1", engine.port))
{ending}
"""
    ended = subprocess.run([sys.executable, "-c", program], timeout=30, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_there_is_no_device_unless_one_is_asked_for(near: Engine) -> None:
    assert near.tun is None
    assert not any(isinstance(event, UnroutedPacket) for event in near.drain())


def introduce(near: Engine, far: Engine, psk: bytes = PSK) -> None:
    far.add_peer(near.public_key, psk, (LOOPBACK, near.port), ["10.0.0.1/32"])
    near.add_peer(far.public_key, psk, (LOOPBACK, far.port), ["10.0.0.2/32"], initiate=True)


def flood(engine: Engine, source: str, count: int) -> None:
    """In bursts that the socket's buffer holds."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as outside:
        outside.bind((source, 0))
        for _ in range(count):
            outside.sendto(CONTROL + bytes(100), (LOOPBACK, engine.port))


def has_come(engine: Engine, payload: bytes) -> bool:
    """Among whatever else has come."""
    return any(isinstance(event, ControlDatagram) and event.payload == payload for event in engine.drain(100_000))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def send_from_outside(engine: Engine, datagram: bytes) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as outside:
        outside.sendto(datagram, (LOOPBACK, engine.port))


def is_readable(engine: Engine) -> bool:
    return bool(select.select([engine.wake_fd], [], [], 0)[0])


def wait_for(engine: Engine, count: int) -> list[Event]:
    """That many events, and not one more."""
    events: list[Event] = []
    while len(events) < count:
        assert select.select([engine.wake_fd], [], [], TIMEOUT_S)[0], f"only {len(events)} of {count} events came"
        events += engine.drain()
    assert len(events) == count
    return events


def until_received(engine: Engine, count: int) -> None:
    """Waits until that many control datagrams have come, and leaves them in the queue."""
    poller = select.poll()
    for _ in range(int(TIMEOUT_S * 100)):
        if engine.counters().control_received >= count:
            return
        poller.poll(10)
    raise AssertionError("the datagrams did not come")
