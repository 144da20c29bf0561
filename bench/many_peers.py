"""1,000 peers configured and 100 of them active at once: throughput of all together, and memory of a peer.

    python -m bench.many_peers --seconds 4 --repeat 5

Needs root, Go and wg. One end has the peers: our engine or current wireguard-go. At the other end stand our engines, as
many as are active, in one process: so both are compared with the same peers, in interleaved repetitions.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.tunnel.measures import cpu_time, resident_bytes
from bench.tunnel.systems import ENGINE_MTU, start_engines
from bench.tunnel.wire import Ends, base64, public_key, succeeds, two_hosts, until
from bench.tunnel.wireguard_go import NoGo, build

from shadowmesh.lab.process import Process

STREAM_LOAD = Path(__file__).parent / "tunnel" / "stream_load.py"
PORT = 5203
CIPHER = "chacha20poly1305"  # the one that both speak
ACTIVE, CONFIGURED = 100, 1000
KIB = 1 << 10


@dataclass(frozen=True, slots=True)
class Peer:
    private_key: bytes
    psk: bytes
    port: int
    network: str  # the near end is .1 in it, the peer .2
    is_active: bool


@dataclass(frozen=True, slots=True)
class Mesh:
    """The near end, its peers, and what was measured."""

    name: str
    peers: Sequence[Peer]
    processes: list[Process]
    resident_kib: float  # of the near end, before any load
    figures: dict[str, list[float]] = field(
        default_factory=lambda: {"gbps": [], "cpu_s_per_gb": [], "resident_kib": []}
    )

    @property
    def active(self) -> list[Peer]:
        return [peer for peer in self.peers if peer.is_active]


StartNear = Callable[[Ends, int, bytes, Sequence[Peer]], Process]


def set_up(ends: Ends, number: int, name: str, start_near: StartNear, active: int, configured: int) -> Mesh:
    private_key = os.urandom(32)
    networks = [
        f"10.{100 + number}.{index}" if index < active else f"10.{150 + number + index // 250}.{index % 250}"
        for index in range(configured)
    ]
    peers = [
        Peer(os.urandom(32), os.urandom(32), 20_000 + number * 1000 + index, network, index < active)
        for index, network in enumerate(networks)
    ]
    near = start_near(ends, number, private_key, peers)
    settings = [far_end(ends, number, private_key, peer) for peer in peers if peer.is_active]
    far = start_engines(ends.far, settings, ends.directory / f"far-{number}.json")
    mesh = Mesh(name, peers, [near, far], resident_bytes(near.pid) / KIB)
    for peer in mesh.active:
        ping = ["ping", "-n", "-c", "1", "-W", "1", f"{peer.network}.2"]
        until(succeeds(ends.near, ping), f"{name}: {peer.network} did not come up")
    return mesh


def far_end(ends: Ends, number: int, private_key: bytes, peer: Peer) -> object:
    near = {
        "key": public_key(private_key).hex(),
        "psk": peer.psk.hex(),
        "path": [str(ends.near.ipv4), near_port(number)],
        "allowed_ips": [f"{peer.network}.1/32"],
        "initiate": True,
    }
    return engine_settings(peer.private_key, peer.port, [f"{peer.network}.2/24"], [near])


def engine_settings(private_key: bytes, port: int, addresses: list[str], peers: list[dict[str, object]]) -> object:
    end = {"private_key": private_key.hex(), "port": port, "addresses": addresses, "mtu": ENGINE_MTU}
    return end | {"cipher": CIPHER, "peers": peers}


def near_port(number: int) -> int:
    return 52_000 + number


def ours(ends: Ends, number: int, private_key: bytes, peers: Sequence[Peer]) -> Process:
    known: list[dict[str, object]] = [
        {
            "key": public_key(peer.private_key).hex(),
            "psk": peer.psk.hex(),
            "path": [str(ends.far.ipv4), peer.port],
            "allowed_ips": [f"{peer.network}.2/32"],
            "initiate": False,
        }
        for peer in peers
    ]
    addresses = [f"{peer.network}.1/24" for peer in peers if peer.is_active]
    settings = engine_settings(private_key, near_port(number), addresses, known)
    return start_engines(ends.near, [settings], ends.directory / f"near-{number}.json")


def wireguard_go(ends: Ends, number: int, private_key: bytes, peers: Sequence[Peer], program: str) -> Process:
    device = f"wm{os.getpid()}-{number}"
    process = ends.near.start([program, "-f", device], name=f"wireguard-{number}", env={"LOG_LEVEL": "error"})
    until(succeeds(ends.near, ["wg", "show", device]), f"{program} did not start")
    lines = ["[Interface]", f"PrivateKey = {base64(private_key)}", f"ListenPort = {near_port(number)}"]
    for peer in peers:
        lines += ["[Peer]", f"PublicKey = {base64(public_key(peer.private_key))}", f"PresharedKey = {base64(peer.psk)}"]
        lines += [f"Endpoint = {ends.far.ipv4}:{peer.port}", f"AllowedIPs = {peer.network}.2/32"]
    file = ends.directory / f"near-{number}.conf"
    file.write_text("\n".join(lines))
    ends.near.run(["wg", "setconf", device, str(file)])
    addresses = [f"address add {peer.network}.1/24 dev {device}" for peer in peers if peer.is_active]
    ends.near.namespace.ip([*addresses, f"link set {device} mtu {ENGINE_MTU} up"])
    return process


def measure(ends: Ends, mesh: Mesh, seconds: int) -> None:
    addresses = [f"{peer.network}.2" for peer in mesh.active]
    receive = [sys.executable, str(STREAM_LOAD), "receive", str(PORT), str(len(addresses)), str(seconds)]
    receiver = ends.far.start(receive, name="receive")
    receiver.wait_for_output("ready", 10)
    with cpu_time(mesh.processes) as cpu:
        ends.near.run([sys.executable, str(STREAM_LOAD), "send", str(PORT), str(seconds), *addresses], timeout_s=120)
        receiver.wait(10)
    counted = json.loads(receiver.output().splitlines()[-1])
    mesh.figures["gbps"].append(counted["bytes"] * 8 / counted["seconds"] / 1e9)
    mesh.figures["cpu_s_per_gb"].append(cpu.vpn_s / (counted["bytes"] / 1e9))
    mesh.figures["resident_kib"].append(resident_bytes(mesh.processes[0].pid) / KIB)


def table(meshes: Sequence[Mesh]) -> str:
    lines = [
        f"{'active / configured peers':32}{'Gbit/s':>22}{'MiB, idle':>11}{'MiB, after load':>17}{'KiB a peer':>12}"
    ]
    single = {mesh.name: mesh for mesh in meshes if len(mesh.peers) == 1}
    for mesh in meshes:
        rates = mesh.figures["gbps"]
        rate = f"{statistics.median(rates):.2f} ({min(rates):.2f}-{max(rates):.2f})"
        grown = mesh.resident_kib - single[mesh.name].resident_kib
        a_peer = f"{grown / (len(mesh.peers) - 1):.1f}" if len(mesh.peers) > 1 else ""
        loaded = max(mesh.figures["resident_kib"]) / KIB
        name = f"{mesh.name}, {len(mesh.active)} / {len(mesh.peers)}"
        lines.append(f"{name:32}{rate:>22}{mesh.resident_kib / KIB:>11.1f}{loaded:>17.1f}{a_peer:>12}")
    ours_one, theirs_one, ours_many, theirs_many = (statistics.median(mesh.figures["gbps"]) for mesh in meshes)
    lines.append(
        f"100 active against one: ours {ours_many / ours_one:.2f}x, wireguard-go {theirs_many / theirs_one:.2f}x"
    )
    lines.append(
        f"ours against wireguard-go: one {ours_one / theirs_one:.2f}x, 100 active {ours_many / theirs_many:.2f}x"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=2, help="length of one transfer")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions, interleaved")
    parser.add_argument("--json", action="store_true", help="all figures, for a program to read")
    arguments = parser.parse_args()
    try:
        stock = partial(wireguard_go, program=str(build().program))
    except NoGo as error:
        sys.exit(f"many_peers: {error}")
    with two_hosts() as ends:
        meshes = [
            set_up(ends, 1, "ours", ours, 1, 1),
            set_up(ends, 2, "wireguard-go", stock, 1, 1),
            set_up(ends, 3, "ours", ours, ACTIVE, CONFIGURED),
            set_up(ends, 4, "wireguard-go", stock, ACTIVE, CONFIGURED),
        ]
        for repetition in range(arguments.repeat):
            print(f"many_peers: repetition {repetition + 1} of {arguments.repeat}", file=sys.stderr, flush=True)
            for mesh in meshes:
                measure(ends, mesh, arguments.seconds)
    figures = {
        f"{mesh.name}, {len(mesh.peers)} peers": mesh.figures | {"idle_kib": [mesh.resident_kib]} for mesh in meshes
    }
    print(json.dumps(figures, indent=2) if arguments.json else table(meshes))


if __name__ == "__main__":
    main()
