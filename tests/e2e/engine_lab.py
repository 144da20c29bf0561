"""An engine as a host of a small network, and what is asked of it."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product

from shadowmesh._engine import Engine, Event, PeerHandshake
from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network

SO_RCVBUFFORCE = 33
UDP_SEGMENT = 103
DEADLINE_S = 10.0  # for what takes milliseconds on an idle machine
KEYED_S = 12.0  # a lost handshake is repeated after 5 s, and once more


@dataclass(frozen=True, slots=True)
class Overlay:
    """The overlay addresses of one end."""

    ipv4: str
    ipv6: str

    @property
    def prefixes(self) -> list[str]:
        return [f"{self.ipv4}/32", f"{self.ipv6}/128"]

    @property
    def interface(self) -> list[str]:
        return [f"{self.ipv4}/24", f"{self.ipv6}/64"]


NEAR = Overlay("10.77.0.1", "fd5a:77::1")
FAR = Overlay("10.77.0.2", "fd5a:77::2")


@contextmanager
def engine_on(
    host: Host, overlay: Overlay, *, tun: str = "sm%d", mtu: int = 1280, without: Sequence[str] = ()
) -> Iterator[Engine]:
    """An engine of this process whose port and device are the host's."""
    with host.enter():
        engine = Engine(private_key=os.urandom(32), tun=tun, addresses=overlay.interface, mtu=mtu, without=without)
    try:
        yield engine
    finally:
        engine.stop()


def introduce(
    near_host: Host,
    near: Engine,
    far_host: Host,
    far: Engine,
    *,
    far_overlay: Overlay = FAR,
    over: str = "ipv6",
    cipher: str = "chacha20poly1305",
) -> None:
    """A session between the two, whose datagrams go `over` "ipv4" or "ipv6"."""
    psk = os.urandom(32)
    far.add_peer(near.public_key, psk, (str(getattr(near_host, over)), near.port), NEAR.prefixes, cipher=cipher)
    path = (str(getattr(far_host, over)), far.port)
    near.add_peer(far.public_key, psk, path, far_overlay.prefixes, initiate=True, cipher=cipher)
    for engine in (near, far):
        events_until(engine, PeerHandshake)


@contextmanager
def tunnel(
    *,
    mtu: int = 1280,
    link_mtu: int = 1500,
    over: str = "ipv6",
    cipher: str = "chacha20poly1305",
    near_without: Sequence[str] = (),
    far_without: Sequence[str] = (),
) -> Iterator[tuple[Host, Host, Engine, Engine]]:
    """Two engines with a session, on hosts that are joined by a cable."""
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        near_host, far_host = (network.host(name, on_switch=False) for name in ("near", "far"))
        network.link(near_host, far_host)
        for host in (near_host, far_host):
            # Afterwards: below 1280 the kernel takes the IPv6 addresses away.
            host.namespace.ip([f"link set eth0 mtu {link_mtu}"])
        near = stack.enter_context(engine_on(near_host, NEAR, mtu=mtu, without=near_without))
        far = stack.enter_context(engine_on(far_host, FAR, mtu=mtu, without=far_without))
        introduce(near_host, near, far_host, far, over=over, cipher=cipher)
        yield near_host, far_host, near, far


def pings(host: Host, address: str, *, count: int = 3, timeout_s: int = 2, size: int = 56) -> bool:
    """Whether at least one of them came back. `size` is what follows the ICMP header, in bytes."""
    command = ["ping", "-n", "-c", str(count), "-i", "0.2", "-W", str(timeout_s), "-s", str(size), address]
    return host.run(command, timeout_s=30, check=False).returncode == 0


def transfers(
    sender: Host,
    receiver: Host,
    address: str,
    size: int = 20_000_000,
    *,
    prepare: Callable[[socket.socket], None] = lambda _: None,
) -> bool:
    """Whether one TCP connection carries this many random bytes unharmed. `prepare` sets the sender's options."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    received = hashlib.sha256()
    with ExitStack() as stack:
        listener = stack.enter_context(receiver.socket(family, socket.SOCK_STREAM))
        client = stack.enter_context(sender.socket(family, socket.SOCK_STREAM))
        for endpoint in (listener, client):
            endpoint.settimeout(60)
        listener.bind((address, 0))
        listener.listen()

        def receive() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(60)
                while block := connection.recv(1 << 20):
                    received.update(block)

        thread = threading.Thread(target=receive)
        thread.start()
        try:
            prepare(client)
            client.connect(listener.getsockname())
            sent = os.urandom(size)
            client.sendall(sent)
        finally:
            client.close()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(60)
    return received.digest() == hashlib.sha256(sent).digest()


def udp_pair(sender: Host, receiver: Host, address: str) -> tuple[socket.socket, socket.socket]:
    """A UDP socket that sends, and the one at the address that receives. The caller closes them."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    source, sink = sender.socket(family), receiver.socket(family)
    sink.settimeout(10)
    sink.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
    sink.bind((address, 0))
    source.connect(sink.getsockname()[:2])
    return source, sink


def datagrams_arrive(sender: Host, receiver: Host, address: str) -> bool:
    """Whether datagrams of all sizes, in an order in which some can be joined, come as they were sent."""
    sizes = [size for size in (0, 1, 13, 600, 1100, 1232) for _ in range(3)]
    mixed = [size for pair in product(sizes, (1200, 64)) for size in pair]
    sent = [os.urandom(size) for size in mixed * 10]
    source, sink = udp_pair(sender, receiver, address)
    with source, sink:
        received = []
        for number in range(0, len(sent), 40):
            for datagram in sent[number : number + 40]:
                source.send(datagram)
            received += [sink.recv(65536) for _ in sent[number : number + 40]]
    return received == sent


def segmented_datagrams_arrive(sender: Host, receiver: Host, address: str) -> bool:
    """Whether what one send leaves to the kernel to cut comes in pieces."""
    source, sink = udp_pair(sender, receiver, address)
    with source, sink:
        source.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
        for _ in range(20):
            data = os.urandom(30_500)
            source.send(data)
            received = [sink.recv(65536) for _ in range(31)]
            if [len(piece) for piece in received] != [1000] * 30 + [500] or b"".join(received) != data:
                return False
    return True


def until(condition: Callable[[], bool], timeout_s: float = DEADLINE_S, interval_s: float = 0.02) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(interval_s)


def events_until(engine: Engine, kind: type[Event], timeout_s: float = DEADLINE_S) -> list[Event]:
    """All events up to the first of this kind."""
    events: list[Event] = []

    def has_come() -> bool:
        events.extend(engine.drain())
        return any(isinstance(event, kind) for event in events)

    until(has_come, timeout_s)
    return events
