"""What a flood of each kind costs a real node, as CPU time for each datagram that it received, beside what it costs its
sender.

    python -m bench.flood --repeat 3

Needs root and a C compiler. The sender is a program that does nothing but sendto, of datagrams prepared before, over a
virtual cable; what the kernel does with them at the other end until they wait in the node's socket counts for nobody.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure, Layout, run
from bench.tunnel.measures import cpu_s

from shadowmesh.control.home import Home
from shadowmesh.demo.actors import Backbone, LightNode
from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network
from shadowmesh.node import identity_file
from shadowmesh.session.cookie_reply import CookieReply
from shadowmesh.session.fragments import CID_BYTES, cut
from shadowmesh.session.macs import GateKeys, MacWriter, macs_of
from shadowmesh.session.messages import M1_BYTES, M3_BYTES

SOURCE = Path(__file__).with_name("flood.c")
COUNT = 400_000  # a second or so
DIFFERENT = 256
PORT, LOCAL_PORT = 41641, 40_000
ANSWER_S = 1.0


class Flooded:
    def __init__(self, node: LightNode, attacker: Host, folder: Path) -> None:
        self._node = node
        self._attacker = attacker
        self._datagrams = folder / "datagrams"
        self._program = folder / "flood"
        self.gate_keys = GateKeys.of(identity_file.load(Home(node.home), None).public)
        subprocess.run([_compiler(), "-O2", "-o", str(self._program), str(SOURCE)], check=True)

    @property
    def _target(self) -> tuple[str, int]:
        return str(self._node.host.ipv4), PORT

    def cost_us(self, datagrams: Sequence[bytes]) -> tuple[float, float]:
        """The node's, and the sender's, for one datagram. All are of one size."""
        self._datagrams.write_bytes(b"".join(datagrams))
        size, (address, port) = len(datagrams[0]), self._target
        words = [self._program, self._datagrams, size, address, port, LOCAL_PORT, COUNT]
        received, used = self._received(), cpu_s(self._node.process.pid)
        sent_us = float(self._attacker.run([str(word) for word in words], timeout_s=60).stdout)
        time.sleep(0.3)
        used = cpu_s(self._node.process.pid) - used
        return used * 1e6 / (self._received() - received), sent_us

    def cookie(self) -> bytes:
        """The one that the node gives to the flood's address. It is under load."""
        first, second = self.message1(1, None)
        with self._attacker.socket() as mallory:
            mallory.bind(("", LOCAL_PORT))
            mallory.settimeout(ANSWER_S)
            for _ in range(DIFFERENT):
                mallory.sendto(second, self._target)
            mallory.sendto(first, self._target)
            while True:
                reply = mallory.recv(2048)
                if reply[0] == 0x42:
                    return CookieReply.decode(reply).open(self.gate_keys, macs_of(first))

    def message1(self, number: int, cookie: bytes | None) -> tuple[bytes, ...]:
        message = os.urandom(M1_BYTES)  # the gate looks at no more than the headers
        macs = MacWriter(self.gate_keys.mac1, cookie)
        return cut(1, number.to_bytes(CID_BYTES, "big"), message, macs).datagrams

    def _received(self) -> int:
        """All that came out of the node's socket, whatever became of it."""
        drops: dict[str, int] = self._node.command("status")["engine"]["drops"]
        return sum(count for reason, count in drops.items() if reason.startswith("engine: "))


def measure(repeat: int) -> list[Figure]:
    figures: dict[str, Figure] = {}
    with flooded() as victim:
        for _ in range(repeat):
            for what, datagrams in _floods(victim):
                figure = figures.setdefault(what, Figure(what, "us", "sendto"))
                figure.add(*victim.cost_us(datagrams))
    return list(figures.values())


def _floods(victim: Flooded) -> Iterator[tuple[str, Sequence[bytes]]]:
    numbers = range(DIFFERENT)
    yield "unknown first byte, 1,232 bytes", [b"\x3f" + os.urandom(1231) for _ in numbers]
    yield "M1 with a wrong mac1", [each for n in numbers for each in cut(1, bytes([n]) * 8, bytes(M1_BYTES)).datagrams]
    yield "M3 of an unknown handshake", [cut(3, os.urandom(8), bytes(M3_BYTES)).datagrams[0] for _ in numbers]
    yield "probe of an unknown session", [b"\x44\1\0\0" + os.urandom(66) for _ in numbers]
    yield "answer by STUN to nothing", [b"\1\1\0\0\x21\x12\xa4\x42" + os.urandom(12) for _ in numbers]
    yield "initiation of WireGuard, wrong mac1", [b"\1\0\0\0" + os.urandom(144) for _ in numbers]
    yield "M1 without a cookie, both datagrams", [each for n in numbers for each in victim.message1(n, None)]
    yield "half of M1 without a cookie", [victim.message1(n, None)[1] for n in numbers]
    cookie = victim.cookie()
    yield "M1 with a good cookie", [each for n in numbers for each in victim.message1(n, cookie)]


@contextmanager
def flooded() -> Iterator[Flooded]:
    with TemporaryDirectory() as name, Network() as network:
        folder = Path(name)
        backbone = Backbone(network.host("backbone"), folder / "backbone")
        backbone.start()
        node = LightNode(network.host("bob"), folder / "bob")
        node.up("--backbone", backbone.pin, "--port", str(PORT))
        node.wait_online()
        yield Flooded(node, network.host("mallory"), folder)


def _compiler() -> str:
    compiler = shutil.which("cc")
    if compiler is None:
        raise SystemExit("a C compiler is needed: on Debian, apt-get install gcc libc6-dev")
    return compiler


def main() -> None:
    run(__doc__.split("\n\n")[0], measure, Layout(what=38, ours=8, unit=3, spread=14, digits=2))


if __name__ == "__main__":
    main()
