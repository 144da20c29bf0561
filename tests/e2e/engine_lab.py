"""An engine as a host of a small network, and what is asked of it."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from shadowmesh._engine import Engine, Event
from shadowmesh.lab.host import Host

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
def engine_on(host: Host, overlay: Overlay, *, tun: str = "sm%d", mtu: int = 1280) -> Iterator[Engine]:
    """An engine of this process whose port and device are the host's."""
    with host.enter():
        engine = Engine(private_key=os.urandom(32), tun=tun, addresses=overlay.interface, mtu=mtu)
    try:
        yield engine
    finally:
        engine.stop()


def pings(host: Host, address: str, *, count: int = 3, timeout_s: int = 2) -> bool:
    """Whether at least one of them came back."""
    command = ["ping", "-n", "-c", str(count), "-i", "0.2", "-W", str(timeout_s), address]
    return host.run(command, timeout_s=30, check=False).returncode == 0


def transfers(sender: Host, receiver: Host, address: str, size: int = 20_000_000) -> bool:
    """Whether one TCP connection carries this many random bytes unharmed."""
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
            client.connect(listener.getsockname())
            sent = os.urandom(size)
            client.sendall(sent)
        finally:
            client.close()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(60)
    return received.digest() == hashlib.sha256(sent).digest()


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
