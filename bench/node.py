"""A light node: cache hit and look-up miss, start to first ping, resident memory.

    python -m bench.node --repeat 5

Needs root, wireguard-go and wg. What is compared in the same run: a cache hit with a plain dict look-up, a miss with
the bare TCP round trip to the backbone, start-up and memory with wireguard-go set up by `wg`.
"""

import os
import socket
import time
import timeit
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure, Layout, run
from bench.tunnel.measures import MIB, resident_bytes
from bench.two_nodes import two_nodes_and_backbone
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shadowmesh.demo.actors import Backbone, LightNode
from shadowmesh.identity.names import Fingerprint
from shadowmesh.kademlia.cache import MAX_CACHE_ENTRIES, PeerCache
from shadowmesh.lab.host import Host
from shadowmesh.records.cache_entry import CACHE_ENTRY_BYTES, CacheEntry

HITS = 20_000


def cache_hit(repeat: int) -> Figure:
    entries = [CacheEntry(Fingerprint(os.urandom(32))) for _ in range(MAX_CACHE_ENTRIES)]
    cache = PeerCache(entries)
    wanted = entries[len(entries) // 2].fingerprint.peer_id
    plain = {entry.fingerprint.peer_id: entry for entry in entries}
    figure = Figure(f"cache hit, {len(entries)} peers of {CACHE_ENTRY_BYTES} bytes", "us", "dict look-up")
    for _ in range(repeat):
        figure.ours.append(timeit.timeit(lambda: cache.look_up(wanted), number=HITS) / HITS * 1e6)
        figure.theirs.append(timeit.timeit(lambda: plain[wanted], number=HITS) / HITS * 1e6)
    return figure


def miss(alice: LightNode, backbone: Backbone, strangers: Sequence[LightNode]) -> Figure:
    """Each look-up is of a peer never seen, so the record comes along."""
    figure = Figure("look-up miss, record of 7 kB", "ms", "TCP round trip")
    port = int(backbone.url.rpartition(":")[2])
    for stranger in strangers:
        figure.ours.append(alice.command("lookup", stranger.peer_id)["took_s"] * 1000)
        with alice.host.enter():
            began = time.monotonic()
            with socket.create_connection((str(backbone.host.ipv4), port)):
                figure.theirs.append((time.monotonic() - began) * 1000)
    return figure


def start_to_ping(alice: LightNode, bob: LightNode, repeat: int) -> tuple[Figure, Figure]:
    """Alice, whose peer bob is known from before, is started until her first ICMP ping through the tunnel returns."""
    start = Figure("`up` to first ping, known peer", "s", "wireguard-go and wg")
    memory = Figure("resident memory of the node", "MiB", "wireguard-go")
    with WireguardGo(bob.host, 2) as far:
        for _ in range(repeat):
            alice.process.stop()
            began = time.monotonic()
            process = alice.start()
            first_ping(alice.host, bob.overlay_address)
            start.ours.append(time.monotonic() - began)
            memory.ours.append(resident_bytes(process.pid) / MIB)
            began = time.monotonic()
            with WireguardGo(alice.host, 1, far) as near:
                first_ping(alice.host, far.address)
                start.theirs.append(time.monotonic() - began)
                memory.theirs.append(resident_bytes(near.pid) / MIB)
    return start, memory


class WireguardGo:
    """A stock tunnel end; the far one learns the near one's key when that is made."""

    def __init__(self, host: Host, number: int, far: "WireguardGo | None" = None) -> None:
        self._host = host
        self._far = far
        self._device = f"wgn{os.getpid()}-{number}"
        self.address = f"10.92.0.{number}"
        self.private_key = X25519PrivateKey.generate()
        self.pid = 0

    def __enter__(self) -> "WireguardGo":
        self._process = self._host.start(["wireguard-go", "-f", self._device], env={"LOG_LEVEL": "error"})
        self.pid = self._process.pid
        while self._host.run(["wg", "show", self._device], check=False).returncode != 0:
            time.sleep(0.005)
        with TemporaryDirectory() as folder:
            key = Path(folder, "key")
            key.write_text(b64encode(self.private_key.private_bytes_raw()).decode())
            self._wg("listen-port", "51899", "private-key", str(key))
        self._host.namespace.ip([f"address add {self.address}/24 dev {self._device}", f"link set {self._device} up"])
        if self._far is not None:
            self._know(self._far)
            self._far._know(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def _know(self, other: "WireguardGo") -> None:
        public_key = b64encode(other.private_key.public_key().public_bytes_raw()).decode()
        endpoint = f"{other._host.ipv4}:51899"
        self._wg("peer", public_key, "endpoint", endpoint, "allowed-ips", f"{other.address}/32")

    def _wg(self, *words: str) -> None:
        self._host.run(["wg", "set", self._device, *words])


def first_ping(host: Host, address: str, limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while host.run(["ping", "-n", "-c", "1", "-W", "1", address], check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no answer from {address}")
        time.sleep(0.005)


def measure(repeat: int) -> list[Figure]:
    with two_nodes_and_backbone() as (alice, bob, backbone):
        strangers = [LightNode(bob.host, bob.home.with_name(f"stranger{number}")) for number in range(repeat)]
        for stranger in strangers:
            stranger.up("--backbone", backbone.pin, "--tun", "none", "--port", "0")
            stranger.wait_online()
            stranger.process.stop()
        return [cache_hit(repeat), miss(alice, backbone, strangers), *start_to_ping(alice, bob, repeat)]


def main() -> None:
    run(__doc__.splitlines()[0], measure, Layout(what=42, ours=9, unit=4, spread=16, digits=2))


if __name__ == "__main__":
    main()
