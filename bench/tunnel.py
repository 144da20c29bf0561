"""Throughput, CPU and latency of the engine's tunnel, beside Debian's wireguard-go and nebula on the same wire.

    python bench/tunnel.py --seconds 5 --repeat 5

Needs root, iperf3, wireguard-go, wg, nebula and nebula-cert. Two network namespaces are joined by a veth pair, and
all tunnels between them stand at the same time. Repetitions are interleaved, so that whatever else the machine
does meets all of them; both ends of a tunnel, the sender and the receiver share its CPUs. The veth pair itself, with
the offloads of the kernel, is the ceiling.
"""

import argparse
import json
import os
import re
import statistics
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shadowmesh._engine import Engine
from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network
from shadowmesh.lab.process import Process

PINGS = 200
PING_INTERVAL_S = 0.005
PORT = 51820
OURS = "shadowmesh"
PSK = "11" * 32
START_S = 10.0

ENGINE_END = """
import json, os, time
from shadowmesh._engine import Engine
end = json.loads(os.environ["BENCH_END"])
private_key = bytes.fromhex(end["private_key"])
engine = Engine(private_key=private_key, port=end["port"], tun="bench-sm%d", addresses=[end["address"]])
peer_key, psk, path = bytes.fromhex(end["peer_key"]), bytes.fromhex(end["psk"]), (end["peer_host"], end["port"])
engine.add_peer(peer_key, psk, path, [end["peer_prefix"]], initiate=True, cipher=end["cipher"])
while True:
    time.sleep(1)
    engine.drain()
"""


@dataclass(frozen=True, slots=True)
class Ends:
    """Two hosts on one wire."""

    near: Host
    far: Host

    def __iter__(self) -> Iterator[tuple[Host, Host]]:
        """Each host with its peer."""
        return iter([(self.near, self.far), (self.far, self.near)])


@dataclass(slots=True)
class Tunnel:
    """One way from the near host to `address` on the far one, and what was measured of it."""

    name: str
    address: str
    processes: Sequence[Process] = ()
    gbit_per_s: list[float] = field(default_factory=list)
    cpu_s_per_gb: list[float] = field(default_factory=list)
    ping_us: list[float] = field(default_factory=list)

    def cpu_s(self) -> float:
        return sum(_cpu_s(process.pid) for process in self.processes)


@contextmanager
def shadowmesh(ends: Ends, name: str, cipher: str, number_of_network: int) -> Iterator[Tunnel]:
    keys = [os.urandom(32), os.urandom(32)]
    processes = []
    for number, (host, peer) in enumerate(ends, 1):
        end = {
            "private_key": keys[number - 1].hex(),
            "peer_key": _public_key(keys[2 - number]).hex(),
            "psk": PSK,
            "cipher": cipher,
            "port": PORT + number_of_network,
            "address": f"10.91.{number_of_network}.{number}/24",
            "peer_host": str(peer.ipv4),
            "peer_prefix": f"10.91.{number_of_network}.{3 - number}/32",
        }
        command = [sys.executable, "-c", ENGINE_END]
        processes.append(host.start(command, name=f"{cipher}-{number}", env={"BENCH_END": json.dumps(end)}))
    yield Tunnel(name, f"10.91.{number_of_network}.2", processes)


@contextmanager
def wireguard_go(ends: Ends) -> Iterator[Tunnel]:
    # The control sockets of all namespaces lie in one directory.
    device = f"wgb{os.getpid()}"
    keys = [os.urandom(32), os.urandom(32)]
    processes = []
    for number, (host, peer) in enumerate(ends, 1):
        name = f"{device}-{number}"
        process = host.start(["wireguard-go", "-f", name], env={"LOG_LEVEL": "error"})
        processes.append(process)
        _until(partial(_succeeds, host, ["wg", "show", name]))
        with TemporaryDirectory() as directory:
            private, psk = Path(directory, "private"), Path(directory, "psk")
            private.write_text(_base64(keys[number - 1]))
            psk.write_text(_base64(bytes.fromhex(PSK)))
            host.run(["wg", "set", name, "listen-port", str(PORT), "private-key", str(private)])
            peer_key = _base64(_public_key(keys[2 - number]))
            endpoint = ["endpoint", f"{peer.ipv4}:{PORT}", "allowed-ips", f"10.91.2.{3 - number}/32"]
            host.run(["wg", "set", name, "peer", peer_key, "preshared-key", str(psk), *endpoint])
        host.namespace.ip([f"address add 10.91.2.{number}/24 dev {name}", f"link set {name} mtu 1420 up"])
    yield Tunnel("wireguard-go", "10.91.2.2", processes)


@contextmanager
def nebula(ends: Ends) -> Iterator[Tunnel]:
    with TemporaryDirectory() as name:
        directory = Path(name)
        run = ends.near.run
        authority = ["-out-crt", str(directory / "ca.crt"), "-out-key", str(directory / "ca.key")]
        run(["nebula-cert", "ca", "-name", "bench", *authority])
        processes = []
        for number, (host, peer) in enumerate(ends, 1):
            certificate, key = directory / f"{number}.crt", directory / f"{number}.key"
            signer = ["-ca-crt", str(directory / "ca.crt"), "-ca-key", str(directory / "ca.key")]
            out = ["-out-crt", str(certificate), "-out-key", str(key)]
            run(["nebula-cert", "sign", *signer, "-name", f"end{number}", "-ip", f"10.91.3.{number}/24", *out])
            config = directory / f"{number}.json"  # JSON is YAML
            anything = [{"port": "any", "proto": "any", "host": "any"}]
            settings = {
                "pki": {"ca": str(directory / "ca.crt"), "cert": str(certificate), "key": str(key)},
                "static_host_map": {f"10.91.3.{3 - number}": [f"{peer.ipv4}:{PORT + 2}"]},
                "lighthouse": {"am_lighthouse": False, "hosts": []},
                "listen": {"host": str(host.ipv4), "port": PORT + 2},
                "tun": {"dev": "bench-neb", "tx_queue": 1000},
                "logging": {"level": "error", "format": "text"},
                "firewall": {"outbound": anything, "inbound": anything},
            }
            config.write_text(json.dumps(settings))
            processes.append(host.start(["nebula", "-config", str(config)], name=f"nebula-{number}"))
        yield Tunnel("nebula", "10.91.3.2", processes)


def measure(ends: Ends, tunnel: Tunnel, seconds: float) -> None:
    """One repetition; the results are added to the tunnel's."""
    pinging = ["ping", "-n", "-i", str(PING_INTERVAL_S), "-c", str(PINGS), tunnel.address]
    printed = ends.near.run(pinging, timeout_s=60).stdout
    times_ms = [float(text) for text in re.findall(r"time=([\d.]+) ms", printed)]
    tunnel.ping_us.append(statistics.median(times_ms) * 1000)

    before = tunnel.cpu_s()
    client = ["iperf3", "--client", tunnel.address, "--time", f"{seconds:g}", "--json"]
    report = json.loads(ends.near.run(client, timeout_s=seconds + 30).stdout)
    received = report["end"]["sum_received"]
    tunnel.gbit_per_s.append(received["bits_per_second"] / 1e9)
    tunnel.cpu_s_per_gb.append((tunnel.cpu_s() - before) / (received["bytes"] / 1e9))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one transfer")
    parser.add_argument("--repeat", type=int, default=5, help="transfers over each tunnel")
    parser.add_argument("--json", action="store_true", help="all figures, for a program to read")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        ends = Ends(network.host("near", on_switch=False), network.host("far", on_switch=False))
        network.link(ends.near, ends.far)
        tunnels = [Tunnel("veth", str(ends.far.ipv4))]
        starts: list[Callable[[Ends], AbstractContextManager[Tunnel]]] = [
            partial(shadowmesh, name=OURS, cipher="chacha20poly1305", number_of_network=1),
            wireguard_go,
            nebula,
        ]
        if Engine.has_aes:
            starts.append(partial(shadowmesh, name=f"{OURS} aes", cipher="aes256gcm", number_of_network=4))
        tunnels += [stack.enter_context(start(ends)) for start in starts]
        ends.far.start(["iperf3", "--server"])
        for tunnel in tunnels:
            _until(partial(_succeeds, ends.near, ["ping", "-n", "-c", "1", "-W", "1", tunnel.address]))
        for repetition in range(arguments.repeat):
            print(f"repetition {repetition + 1} of {arguments.repeat}", file=sys.stderr)
            for tunnel in tunnels:
                measure(ends, tunnel, arguments.seconds)
        print(_json(tunnels) if arguments.json else _table(tunnels))


def _table(tunnels: Sequence[Tunnel]) -> str:
    ours = next(statistics.median(tunnel.gbit_per_s) for tunnel in tunnels if tunnel.name == OURS)
    lines = [f"{'':16}{'Gbit/s':>8}{'(range)':>18}{'ours is':>10}{'VPN CPU s/GB':>14}{'ping us':>9}"]
    for tunnel in tunnels:
        rate = statistics.median(tunnel.gbit_per_s)
        spread = f"({min(tunnel.gbit_per_s):.2f}-{max(tunnel.gbit_per_s):.2f})"
        cpu, ping = statistics.median(tunnel.cpu_s_per_gb), statistics.median(tunnel.ping_us)
        lines.append(f"{tunnel.name:16}{rate:8.2f}{spread:>18}{ours / rate:9.2f}x{cpu:14.2f}{ping:9.0f}")
    return "\n".join(lines)


def _json(tunnels: Sequence[Tunnel]) -> str:
    figures = {
        tunnel.name: {
            "gbit_per_s": tunnel.gbit_per_s,
            "cpu_s_per_gb": tunnel.cpu_s_per_gb,
            "ping_us": tunnel.ping_us,
        }
        for tunnel in tunnels
    }
    return json.dumps(figures, indent=2)


def _public_key(private_key: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def _base64(key: bytes) -> str:
    return b64encode(key).decode()


def _cpu_s(pid: int) -> float:
    """User and system time of all threads (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _succeeds(host: Host, command: Sequence[str]) -> bool:
    return host.run(command, check=False).returncode == 0


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("a tunnel did not come up")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
