"""Two nodes begin to trust each other: whether and when a direct path carries data, and what it cost."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from bench.nat_grid.nodes import Node
from bench.nat_grid.places import Place

from shadowmesh.control.errors import ControlError
from shadowmesh.control.schema import PingDocument
from shadowmesh.lab.nat.router import Router
from shadowmesh.lab.nat.theory import Method

CONNECT_S = 40.0  # longer than an attempt goes on, so that its own reason comes first
TRANSFER_BYTES = 256 * 1024
_ECHO_PORT = 7000
_ECHO_INTERVAL_S = 0.1
_TRANSFER_S = 10.0


@dataclass(frozen=True, slots=True)
class Party:
    """A node, where it is, and what that is called."""

    name: str
    node: Node
    place: Place


@dataclass(frozen=True, slots=True)
class Meeting:
    """Who meets, and by which method they can."""

    near: Party
    far: Party
    expected: Method
    title: str = ""  # of a pair that is none of two kinds

    @property
    def name(self) -> str:
        return self.title or f"{self.near.name} x {self.far.name}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`near` and `far` in pairs: probes that were sent, UDP flows that are new in the fullest router of each."""

    direct_s: float | None  # from the moment of mutual trust until the session is there
    first_byte_s: float | None  # until the first datagram has gone through the tunnel and back
    intact: bool  # a transfer over TCP arrived as it was sent
    path: str
    reason: str
    status: str  # what `shadowmesh status` says of the far node in the end
    probes: tuple[int, int]
    flows: tuple[int, int]

    @property
    def is_direct(self) -> bool:
        return self.direct_s is not None and self.first_byte_s is not None and self.intact


def meet(meeting: Meeting) -> Outcome:
    near, far = meeting.near.node, meeting.far.node
    parties = (meeting.near, meeting.far)
    probes = [party.node.probes_sent() for party in parties]
    flows = [{router: _flows(router) for router in party.place.routers} for party in parties]
    far.trust(near)
    began = time.monotonic()
    near.trust(far)
    with ThreadPoolExecutor(1) as pool:
        pinging = pool.submit(near.ping, far, CONNECT_S)
        first_byte_at = _first_byte(near, far, pinging)
        direct_s, path, reason = _result(pinging)
    intact = first_byte_at is not None and transfer(near, far)
    outcome = Outcome(
        direct_s,
        None if first_byte_at is None else first_byte_at - began,
        intact,
        path,
        reason,
        _status(near, far),
        (near.probes_sent() - probes[0], far.probes_sent() - probes[1]),
        (_new_flows(flows[0]), _new_flows(flows[1])),
    )
    near.untrust(far)
    far.untrust(near)
    return outcome


def transfer(sender: Node, receiver: Node) -> bool:
    """Whether a TCP stream through the tunnel arrives as it was sent."""
    payload = os.urandom(TRANSFER_BYTES)
    received = hashlib.sha256()
    with receiver.host.socket(socket.AF_INET6, socket.SOCK_STREAM) as listener:
        listener.bind((receiver.address, 0))
        listener.listen(1)
        listener.settimeout(_TRANSFER_S)
        port = listener.getsockname()[1]
        with ThreadPoolExecutor(1) as pool, sender.host.socket(socket.AF_INET6, socket.SOCK_STREAM) as sending:
            taking = pool.submit(_take_all, listener, received)
            sending.settimeout(_TRANSFER_S)
            try:
                sending.connect((receiver.address, port))
                sending.sendall(payload)
                sending.shutdown(socket.SHUT_WR)
                taking.result()
            except TimeoutError:
                return False
    return received.digest() == hashlib.sha256(payload).digest()


def _take_all(listener: socket.socket, digest: hashlib._Hash) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(_TRANSFER_S)
        while piece := connection.recv(1 << 16):
            digest.update(piece)


def _result(pinging: Future[PingDocument]) -> tuple[float | None, str, str]:
    try:
        ponged = pinging.result()
    except ControlError as error:
        return None, "", error.problem
    return ponged.connected_in_s or 0.0, ponged.path, ""


def _status(near: Node, far: Node) -> str:
    peer = near.peer(far)
    return f"{peer.state} ({peer.reason})" if peer.reason else peer.state


def _first_byte(near: Node, far: Node, pinging: Future[PingDocument]) -> float | None:
    """When the first echo came back; None when the ping says that there is no way."""
    with _echo(far) as port, near.host.socket(socket.AF_INET6) as asking:
        asking.settimeout(_ECHO_INTERVAL_S)
        deadline = time.monotonic() + CONNECT_S
        while time.monotonic() < deadline and not (pinging.done() and pinging.exception()):
            asking.sendto(b"first byte", (far.address, port))
            try:
                asking.recv(64)
            except TimeoutError:
                continue
            return time.monotonic()
    return None


@contextmanager
def _echo(node: Node) -> Iterator[int]:
    """Answers datagrams to the node's overlay address, at the port that is returned."""
    with node.host.socket(socket.AF_INET6) as answering:
        answering.bind((node.address, _ECHO_PORT))
        answering.settimeout(_ECHO_INTERVAL_S)
        stop = threading.Event()
        thread = threading.Thread(target=_answer, args=(answering, stop))
        thread.start()
        try:
            yield _ECHO_PORT
        finally:
            stop.set()
            thread.join()


def _answer(answering: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            data, source = answering.recvfrom(64)
        except TimeoutError:
            continue
        answering.sendto(data, source)


def _new_flows(before: dict[Router, set[str]]) -> int:
    return max((len(_flows(router) - known) for router, known in before.items()), default=0)


def _flows(router: Router) -> set[str]:
    """The UDP flows in the router's table, each as its inside tuple."""
    lines = router.host.run(["conntrack", "--dump", "--proto", "udp"]).stdout.splitlines()
    return {" ".join([word for word in line.split() if "=" in word][:4]) for line in lines}
