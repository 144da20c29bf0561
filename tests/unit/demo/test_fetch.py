import functools
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shadowmesh.demo.fetch import fetch
from shadowmesh.demo.payload import write_payload


def test_the_last_line_has_size_hash_and_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = 2_000_003
    wanted = write_payload(tmp_path / "file", size)
    with serving(tmp_path) as url:
        fetch(f"{url}/file")
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["received"] == size
    assert last["sha256"] == wanted
    assert 0 <= last["longest_stall_s"] <= last["took_s"]


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
