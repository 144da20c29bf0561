"""Two hosts, the cables between them, and tunnels over the first cable."""

import os
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network
from shadowmesh.lab.process import Process

START_S = 20.0
NO_OFFLOAD = ("tso", "off", "gso", "off", "gro", "off")
CUBIC = "cubic"  # the default of Linux, whatever the machine has set


@dataclass(frozen=True, slots=True)
class Ends:
    """Two hosts joined by a veth pair, and by a second one without segmentation offload at `plain_address`."""

    near: Host
    far: Host
    plain_address: IPv4Address
    congestion_control: str  # of the TCP that iperf3 sends
    directory: Path

    def __iter__(self) -> Iterator[tuple[Host, Host]]:
        """Each host with its peer."""
        return iter([(self.near, self.far), (self.far, self.near)])


@contextmanager
def two_hosts(congestion_control: str = CUBIC) -> Iterator[Ends]:
    """With an iperf3 server on the far one."""
    with Network() as network, TemporaryDirectory() as directory:
        near, far = network.host("near", on_switch=False), network.host("far", on_switch=False)
        network.link(near, far)
        plain = network.link(near, far)
        for host, attachment in ((near, plain.near), (far, plain.far)):
            host.run(["ethtool", "-K", attachment.interface, *NO_OFFLOAD])
        address = next(address.ip for address in plain.far.addresses if isinstance(address.ip, IPv4Address))
        far.start(["iperf3", "--server"])
        yield Ends(near, far, address, congestion_control, Path(directory))


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One way from the near host to `address` on the far one, and all that was measured of it, by name."""

    name: str
    address: str
    mtu: int
    processes: Sequence[Process] = ()
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self.figures.setdefault(name, []).append(value)

    def wait_until_up(self, ends: Ends) -> None:
        ping = ["ping", "-n", "-c", "1", "-W", "1", self.address]
        until(succeeds(ends.near, ping), f"{self.name} did not come up")


@dataclass(frozen=True, slots=True)
class End:
    """What a program needs to know to be one end of a tunnel."""

    number: int  # 1 is near, 2 is far
    host: Host
    peer_host: Host
    private_key: bytes
    peer_key: bytes
    psk: bytes
    port: int
    network: str  # "10.91.4": the ends are .1 and .2 in it
    directory: Path  # for its settings

    @property
    def address(self) -> str:
        return f"{self.network}.{self.number}"

    @property
    def peer_address(self) -> str:
        return f"{self.network}.{3 - self.number}"


Start = Callable[[End], Process]


def join(ends: Ends, number: int, start_near: Start, start_far: Start) -> list[Process]:
    """A tunnel between two programs over the first cable, in the network 10.91.`number`.0/24."""
    keys, psk = [os.urandom(32), os.urandom(32)], os.urandom(32)
    network = f"10.91.{number}"
    starts = (start_near, start_far)
    return [
        starts[index](
            End(
                number=index + 1,
                host=host,
                peer_host=peer,
                private_key=keys[index],
                peer_key=public_key(keys[1 - index]),
                psk=psk,
                port=51820 + number,
                network=network,
                directory=ends.directory,
            )
        )
        for index, (host, peer) in enumerate(ends)
    ]


def public_key(private_key: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def base64(key: bytes) -> str:
    return b64encode(key).decode()


def until(condition: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(failure)
        time.sleep(0.02)


def succeeds(host: Host, command: Sequence[str]) -> Callable[[], bool]:
    return lambda: host.run(command, check=False).returncode == 0
