"""The directory over HTTP."""

from pathlib import Path

from tests.unit.backbone.world import world

from shadowmesh.identity.keys import Identity
from shadowmesh.records.directory import SignedDirectory

US, OTHER = Identity(b"1" * 32), Identity(b"2" * 32)


async def test_the_directory_is_fetched_once_a_version(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        transport = w.transport()
        first = await transport.request("GET", "/v1/directory", {}, None)
        assert first.headers["content-type"] == "application/cose"
        SignedDirectory.decode(first.body).accept([w.identity.fingerprint], now=w.clock.now)
        again = await transport.request("GET", "/v1/directory", {"if-none-match": first.headers["etag"]}, None)
        assert (again.status, again.body) == (304, b"")
        other = await transport.request("GET", "/v1/directory", {"if-none-match": '"1"'}, None)
        assert other.body == first.body
