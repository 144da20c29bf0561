"""Where the server listens."""

import socket
from pathlib import Path

import pytest

from shadowmesh.backbone import sockets
from shadowmesh.backbone.errors import CannotStart


@pytest.mark.parametrize(
    ("text", "parsed"), [("127.0.0.1:8443", ("127.0.0.1", 8443)), ("[::1]:0", ("::1", 0)), ("host:1", ("host", 1))]
)
def test_host_and_port(text: str, parsed: tuple[str, int]) -> None:
    assert sockets.parse_listen(text) == parsed


@pytest.mark.parametrize("text", ["", "8443", ":8443", "host:", "host:x", "host:65536", "host:-1", "host:²"])
def test_what_is_not_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(CannotStart, match="HOST:PORT"):
        sockets.parse_listen(text)


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"port {port}: Address already in use"):
            sockets.listen("127.0.0.1", port)


def test_both_tls_files_are_needed_and_must_be_what_they_say(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    assert not sockets.check_tls(None, None)
    with pytest.raises(CannotStart, match="both"):
        sockets.check_tls(file, None)
    with pytest.raises(CannotStart, match=r"file\.pem: No such file"):
        sockets.check_tls(file, file)
    file.write_text("not a certificate")
    with pytest.raises(CannotStart, match="not a certificate and its key"):
        sockets.check_tls(file, file)
