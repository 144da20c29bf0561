import socket

import pytest

from shadowmesh.node.closed_on_failure import closed_on_failure


def test_a_socket_that_could_not_be_set_up_is_closed() -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with pytest.raises(OSError, match="no such"), closed_on_failure(sock):
        raise OSError("no such address")
    assert sock.fileno() == -1


def test_one_that_could_stays_open() -> None:
    with closed_on_failure(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        pass
    assert sock.fileno() != -1
    sock.close()
