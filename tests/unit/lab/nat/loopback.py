"""A host without any NAT, and observers, on the loopback interface: 127.0.0.0/8 is all its own."""

import socket

from shadowmesh.lab.nat.observer import Observers

ADDRESS = "127.0.0.1"


def open_socket(family: int) -> socket.socket:
    return socket.socket(family, socket.SOCK_DGRAM)


def observers() -> Observers:
    return Observers([(open_socket, "127.0.0.2"), (open_socket, "127.0.0.3")])
