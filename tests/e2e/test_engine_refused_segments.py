"""A kernel that refuses what the engine leaves to it to segment, as those before 6.11 do on some network cards."""

from __future__ import annotations

import errno
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shadowmesh._engine import ControlDatagram, Engine, PeerHandshake
from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network
from shadowmesh.lab.process import Process

from .engine_lab import (
    DEADLINE_S,
    FAR,
    NEAR,
    datagrams_arrive,
    engine_on,
    events_until,
    segmented_datagrams_arrive,
    transfers,
    until,
)
from .engine_program import CONTROL, READY

pytestmark = pytest.mark.privileged

HERE = Path(__file__).parent
SOURCE = HERE / "refuse_segments.c"
PROGRAM = "tests.e2e.engine_program"
NEAR_PORT = 51820
TRANSFER_BYTES = 20_000_000
ALWAYS = 1 << 63
FEW = 3


def test_a_card_that_does_no_checksums_is_given_no_more_segments_and_nothing_is_lost(tmp_path: Path) -> None:
    with near_refused(tmp_path, errno.EIO, times=ALWAYS) as near:
        assert near.carries_all()
        assert near.ends_without_drops()
        assert (near.refused, near.passed) == (1, 0)


@pytest.mark.parametrize("reason", [errno.EMSGSIZE, errno.EINVAL], ids=errno.errorcode.get)
def test_a_path_too_narrow_for_segments_is_given_them_again_and_nothing_is_lost(tmp_path: Path, reason: int) -> None:
    with near_refused(tmp_path, reason, times=FEW) as near:
        assert near.carries_all()
        assert near.ends_without_drops()
        assert near.refused == FEW
        assert near.passed > 0


@dataclass(frozen=True, slots=True)
class Refused:
    """The near engine, which is refused, and the far one."""

    near_host: Host
    near: Process
    far_host: Host
    far: Engine
    counted: Path

    @property
    def refused(self) -> int:
        """How many segmented messages were refused so far."""
        return self._counts()[0]

    @property
    def passed(self) -> int:
        """How many segmented messages were not refused."""
        return self._counts()[1]

    def carries_all(self) -> bool:
        """Whether datagrams of all kinds and bulk come whole, those of the first refusal among them."""
        return all(
            [
                segmented_datagrams_arrive(self.near_host, self.far_host, FAR.ipv4),
                datagrams_arrive(self.near_host, self.far_host, FAR.ipv6),
                transfers(self.near_host, self.far_host, FAR.ipv6, TRANSFER_BYTES),
                transfers(self.far_host, self.near_host, NEAR.ipv4, TRANSFER_BYTES),
            ]
        )

    def ends_without_drops(self) -> bool:
        """Whether the last control datagrams arrive, and no send had failed."""
        self.far.drain()
        assert self.near.stop() == 0, self.near.tail()
        received: list[bytes] = []

        def have_all_come() -> bool:
            events = self.far.drain()
            received.extend(event.payload for event in events if isinstance(event, ControlDatagram))
            return len(received) == len(CONTROL)

        until(have_all_come)
        drops = json.loads(self.near.output().splitlines()[-1])
        return received == CONTROL and drops["udp_send"] == 0

    def _counts(self) -> tuple[int, int]:
        refused, passed = struct.unpack("=QQ", self.counted.read_bytes())
        return refused, passed


@contextmanager
def near_refused(folder: Path, reason: int, *, times: int) -> Iterator[Refused]:
    """A tunnel whose near engine gets this errno for its first `times` segmented messages."""
    counted = folder / "counted"
    counted.write_bytes(bytes(16))
    private_key, psk = os.urandom(32), os.urandom(32)
    public_key = X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()
    with Network() as network:
        near_host, far_host = (network.host(name, on_switch=False) for name in ("near", "far"))
        network.link(near_host, far_host)
        with engine_on(far_host, FAR) as far:
            far.add_peer(public_key, psk, (str(near_host.ipv6), NEAR_PORT), NEAR.prefixes)
            keys = private_key.hex(), far.public_key.hex(), psk.hex()
            arguments = [keys[0], str(NEAR_PORT), *keys[1:], str(far_host.ipv6), str(far.port)]
            environment = {
                "PYTHONPATH": str(HERE.parents[1]),
                "LD_PRELOAD": str(compiled(SOURCE, folder)),
                "SEGMENTS_ERROR": str(reason),
                "SEGMENTS_REFUSED": str(times),
                "SEGMENTS_COUNTED": str(counted),
            }
            near = near_host.start([sys.executable, "-m", PROGRAM, *arguments], env=environment)
            near.wait_for_output(READY, DEADLINE_S)
            events_until(far, PeerHandshake)
            yield Refused(near_host, near, far_host, far, counted)


def compiled(source: Path, folder: Path) -> Path:
    """A shared object of the C source, made by the compiler that also links the engine."""
    library = folder / f"{source.stem}.so"
    compiler = shutil.which("cc")
    assert compiler is not None
    command = [compiler, "-std=c11", "-Wall", "-Werror", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return library
