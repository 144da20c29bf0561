"""What is compared: each function starts one end; `standing` has all tunnels up at the same time."""

import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.tunnel.nebula import nebula
from bench.tunnel.wire import START_S, End, Ends, Start, Tunnel, base64, join, succeeds, until

from shadowmesh._engine import Engine
from shadowmesh.lab.host import Host
from shadowmesh.lab.process import Process

ENGINE_END = Path(__file__).with_name("engine_end.py")
ENGINE_MTU = 1280
VETH_MTU = 1500
WIREGUARD_GO_MTU = 1420  # its default

VETH = "veth"
VETH_NOGSO = "veth-nogso"
REFERENCE = "wireguard-go"
AES = "ours, AES"
CHACHA = "ours, ChaCha"
MIXED = "ours to wireguard-go"


def engine(end: End, cipher: str, library: Path | None = None) -> Process:
    """Our packet engine, without a node around it. `library` replaces the installed extension."""
    peer = {
        "key": end.peer_key.hex(),
        "psk": end.psk.hex(),
        "path": [str(end.peer_host.ipv4), end.port],
        "allowed_ips": [f"{end.peer_address}/32"],
        "initiate": True,
    }
    settings = {
        "private_key": end.private_key.hex(),
        "port": end.port,
        "addresses": [f"{end.address}/24"],
        "mtu": ENGINE_MTU,
        "cipher": cipher,
        "peers": [peer],
    }
    return start_engines(end.host, [settings], end.directory / f"engine-{end.address}.json", library)


def start_engines(host: Host, settings: Sequence[object], file: Path, library: Path | None = None) -> Process:
    """One process with an engine for each entry; see engine_end.py. Returns when all have their peers."""
    file.write_text(json.dumps(settings))
    env = {"BENCH_ENGINE": str(library)} if library else {}
    process = host.start([sys.executable, str(ENGINE_END), str(file)], name=file.stem, env=env)
    process.wait_for_output("ready", START_S)
    return process


def wireguard_go(end: End, program: str) -> Process:
    # The control sockets of all namespaces lie in one directory.
    device = f"wb{os.getpid()}-{end.port % 100}{end.number}"
    process = end.host.start([program, "-f", device], name=f"wireguard-{end.address}", env={"LOG_LEVEL": "error"})
    until(succeeds(end.host, ["wg", "show", device]), f"{program} did not start")
    with TemporaryDirectory() as directory:
        private, psk = Path(directory, "private"), Path(directory, "psk")
        private.write_text(base64(end.private_key))
        psk.write_text(base64(end.psk))
        end.host.run(["wg", "set", device, "listen-port", str(end.port), "private-key", str(private)])
        path = ["endpoint", f"{end.peer_host.ipv4}:{end.port}", "allowed-ips", f"{end.peer_address}/32"]
        end.host.run(["wg", "set", device, "peer", base64(end.peer_key), "preshared-key", str(psk), *path])
    end.host.namespace.ip([f"address add {end.address}/24 dev {device}", f"link set {device} up"])
    return process


def standing(ends: Ends, reference: str, *, every: bool = False, library: Path | None = None) -> list[Tunnel]:
    """All that this machine can run. `reference` is the program of current wireguard-go; `every` adds Debian's."""

    def tunnel(number: int, name: str, mtu: int, near: Start, far: Start) -> Tunnel:
        return Tunnel(name, f"10.91.{number}.2", mtu, join(ends, number, near, far))

    stock = partial(wireguard_go, program=reference)
    chacha = partial(engine, cipher="chacha20poly1305", library=library)
    aes = partial(engine, cipher="aes256gcm", library=library)
    tunnels = [
        Tunnel(VETH, str(ends.far.ipv4), VETH_MTU),
        Tunnel(VETH_NOGSO, str(ends.plain_address), VETH_MTU),
        tunnel(1, REFERENCE, WIREGUARD_GO_MTU, stock, stock),
        tunnel(2, CHACHA, ENGINE_MTU, chacha, chacha),
        tunnel(3, MIXED, ENGINE_MTU, chacha, stock),
    ]
    if Engine.has_aes:
        tunnels.append(tunnel(4, AES, ENGINE_MTU, aes, aes))
    if every:
        debian = partial(wireguard_go, program="wireguard-go")
        tunnels.append(tunnel(5, "wireguard-go, Debian", WIREGUARD_GO_MTU, debian, debian))
        tunnels.append(Tunnel("nebula, Debian", "10.91.6.2", WIREGUARD_GO_MTU, nebula(ends, ends.directory, "10.91.6")))
    for one in tunnels:
        one.wait_until_up(ends)
    return tunnels
