"""Traffic that a link carries with ease, so that whatever is missing at the end was lost by the tunnel."""

import os
import socket
import struct
from contextlib import ExitStack
from dataclasses import dataclass, field

from shadowmesh.lab.host import Host

_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 4 * 2**20  # seconds of this traffic: a busy machine loses nothing here
_NUMBER = struct.Struct("!Q")


@dataclass(slots=True)
class Datagrams:
    """Numbered UDP datagrams in one direction; nothing goes back."""

    sender: socket.socket
    receiver: socket.socket
    sent: int = 0
    received: list[int] = field(default_factory=list)

    @classmethod
    def open(cls, stack: ExitStack, sender: Host, receiver: Host, address: str) -> "Datagrams":
        """To this IPv4 address of the receiver. The stack closes the sockets."""
        sending, receiving = (stack.enter_context(host.socket()) for host in (sender, receiver))
        receiving.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        receiving.bind((address, 0))
        receiving.setblocking(False)
        sending.connect(receiving.getsockname())
        return cls(sending, receiving)

    def step(self) -> None:
        self.sender.send(_NUMBER.pack(self.sent))
        self.sent += 1
        self.receive()

    def receive(self) -> None:
        while True:
            try:
                self.received.extend(_NUMBER.unpack(self.receiver.recv(_NUMBER.size)))
            except BlockingIOError:
                return

    def is_complete(self) -> bool:
        """Whether each has arrived, and none twice."""
        self.receive()
        return sorted(self.received) == list(range(self.sent))


@dataclass(slots=True)
class Stream:
    """Random bytes over one TCP connection."""

    client: socket.socket
    server: socket.socket
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)

    @classmethod
    def open(cls, stack: ExitStack, sender: Host, receiver: Host, address: str) -> "Stream":
        """To this IPv4 address of the receiver. The stack closes the sockets."""
        with receiver.socket(type=socket.SOCK_STREAM) as listener:
            listener.bind((address, 0))
            listener.listen()
            client = stack.enter_context(sender.socket(type=socket.SOCK_STREAM))
            client.settimeout(10)
            client.connect(listener.getsockname())
            server = stack.enter_context(listener.accept()[0])
        server.setblocking(False)
        return cls(client, server)

    def step(self) -> None:
        block = os.urandom(1024)
        self.client.sendall(block)
        self.sent += block
        self.receive()

    def receive(self) -> None:
        try:
            self.received += self.server.recv(2**20)
        except BlockingIOError:
            return

    def is_complete(self) -> bool:
        self.receive()
        return self.received == self.sent
