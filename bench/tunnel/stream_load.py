"""TCP streams to many addresses at once, and their sum. Two programs: one receives, one sends.

stream_load.py receive PORT STREAMS SECONDS        prints "ready", then how many bytes came in that time
stream_load.py send PORT SECONDS ADDRESS...        a stream to each address
"""

import contextlib
import json
import selectors
import socket
import sys
import time

CHUNK_BYTES = 1 << 18
START_S = 20.0
WARM_UP_S = 0.5


def receive(port: int, streams: int, seconds: float) -> None:
    """Counts from when all streams are there and have run for a moment."""
    with socket.create_server(("", port), backlog=streams) as server, selectors.DefaultSelector() as selector:
        server.settimeout(START_S)
        print("ready", flush=True)
        for _ in range(streams):
            connection, _ = server.accept()
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
        _read(selector, WARM_UP_S)
        began = time.perf_counter()
        received = _read(selector, seconds)
        print(json.dumps({"bytes": received, "seconds": time.perf_counter() - began}))


def _read(selector: selectors.BaseSelector, seconds: float) -> int:
    buffer, received, end = bytearray(CHUNK_BYTES), 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in selector.select(0.1):
            if isinstance(key.fileobj, socket.socket):
                received += key.fileobj.recv_into(buffer)
    return received


def send(port: int, seconds: float, addresses: list[str]) -> None:
    """Until the receiver hangs up, and at most twice that long."""
    chunk, end = bytes(CHUNK_BYTES), time.perf_counter() + 2 * (seconds + START_S)
    with selectors.DefaultSelector() as selector, contextlib.suppress(ConnectionError):
        for address in addresses:
            connection = socket.create_connection((address, port), START_S)
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_WRITE)
        while time.perf_counter() < end:
            for key, _ in selector.select(1):
                if isinstance(key.fileobj, socket.socket):
                    with contextlib.suppress(BlockingIOError):
                        key.fileobj.send(chunk)


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        receive(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    else:
        send(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
