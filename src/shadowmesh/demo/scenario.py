"""The story: log in, find each other, agree keys, move a file, lose the backbone, restart, still be there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from shadowmesh.demo.actors import Backbone, LightNode
from shadowmesh.demo.payload import write_payload
from shadowmesh.demo.screen import Row, Screen
from shadowmesh.lab.errors import LabError
from shadowmesh.lab.network import Network

HTTP_PORT = 8080
_MIB = 1 << 20


class DemoFailed(Exception):
    """Something that the demo claims did not hold; the text says what."""


class FetchReport(msgspec.Struct):
    """A line of `shadowmesh.demo.fetch`; the last one has all fields."""

    received: int
    sha256: str = ""
    took_s: float = 0.0
    longest_stall_s: float = 0.0


class Figures(msgspec.Struct):
    """What the demo measured. Bytes are those of the network interface, with all headers."""

    login_bytes_sent: int = 0
    login_bytes_received: int = 0
    login_ms: float = 0.0
    look_up_ms: float = 0.0
    handshake_ms: float = 0.0
    first_ping_ms: float = 0.0
    ping_ms: float = 0.0
    file_bytes: int = 0
    transfer_s: float = 0.0
    gbit_per_s: float = 0.0
    longest_stall_ms: float = 0.0
    received_after_backbone_died: int = 0
    found_again_ms: float = 0.0
    backbone_bytes_total: int = 0
    backbone_bytes_during_transfer: int = 0


@dataclass
class _Cast:
    backbone: Backbone
    alice: LightNode
    bob: LightNode


def run(screen: Screen, *, file_bytes: int) -> Figures:
    """Takes under a minute for 1 GiB. Raises DemoFailed, LabError; whatever happens, nothing is left behind."""
    figures = Figures(file_bytes=file_bytes)
    folder = Path(tempfile.mkdtemp(prefix="shadowmesh-demo-"))
    try:
        with Network() as network:
            cast = _prepare(screen, network, folder)
            _log_in(screen, cast, figures)
            _meet(screen, cast, figures)
            _move_the_file(screen, cast, figures, folder)
            _restart_without_backbone(screen, cast, figures)
            figures.backbone_bytes_total = cast.backbone.carried()
            _leave(screen, cast)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return figures


def rows(figures: Figures) -> list[Row]:
    size = f"{figures.file_bytes / _MIB:,.0f} MiB"
    return [
        ("first log-in (ML-DSA-87, ML-KEM-1024)", f"{figures.login_ms:.0f} ms"),
        (
            "  on the wire until ready",
            f"{figures.login_bytes_sent / 1000:.1f} kB sent, {figures.login_bytes_received / 1000:.1f} kB received",
        ),
        ("look-up of a peer never seen", f"{figures.look_up_ms:.1f} ms"),
        ("post-quantum handshake", f"{figures.handshake_ms:.1f} ms"),
        ("first ping through the tunnel, then the median", f"{figures.first_ping_ms:.2f} ms, {figures.ping_ms:.2f} ms"),
        (f"{size} over HTTP, SHA-256 equal", f"{figures.transfer_s:.1f} s, {figures.gbit_per_s:.2f} Gbit/s"),
        ("  of it after the backbone was killed", f"{figures.received_after_backbone_died / _MIB:,.0f} MiB"),
        ("  longest pause in the transfer", f"{figures.longest_stall_ms:.0f} ms"),
        ("bob restarted, found again without a backbone", f"{figures.found_again_ms:.0f} ms"),
        ("carried by the backbone's interface, all in all", f"{figures.backbone_bytes_total / 1000:.1f} kB"),
        ("  of it while the file moved", f"{figures.backbone_bytes_during_transfer / 1000:.1f} kB"),
    ]


def _prepare(screen: Screen, network: Network, folder: Path) -> _Cast:
    with screen.step("three hosts on one switch") as step:
        hosts = [network.host(name) for name in ("backbone", "alice", "bob")]
        step.result = ", ".join(f"{host.name} {host.ipv4}" for host in hosts)
    with screen.step("a backbone, embedded form") as step:
        backbone = Backbone(hosts[0], folder / "backbone")
        backbone.start()
        step.result = backbone.url
    with screen.step("two identities") as step:
        alice, bob = (LightNode(host, folder / host.name) for host in hosts[1:])
        step.result = f"alice {alice.peer_id[:14]}…, bob {bob.peer_id[:14]}…"
    return _Cast(backbone, alice, bob)


def _log_in(screen: Screen, cast: _Cast, figures: Figures) -> None:
    with screen.step("bob comes up and logs in"):
        cast.bob.up("--backbone", cast.backbone.pin)
        cast.bob.wait_online()
    with screen.step("alice comes up and logs in") as step:
        before = cast.alice.host.interface_counters()["eth0"]
        cast.alice.up("--backbone", cast.backbone.pin)
        status = cast.alice.wait_online()
        after = cast.alice.host.interface_counters()["eth0"]
        figures.login_ms = status["link"]["login_s"] * 1000
        figures.login_bytes_sent = after.tx_bytes - before.tx_bytes
        figures.login_bytes_received = after.rx_bytes - before.rx_bytes
        step.result = (
            f"{figures.login_ms:.0f} ms, {figures.login_bytes_sent / 1000:.1f} kB sent, "
            f"{figures.login_bytes_received / 1000:.1f} kB received (log-in, directory, record)"
        )


def _meet(screen: Screen, cast: _Cast, figures: Figures) -> None:
    with screen.step("alice looks bob up by PeerID") as step:
        found = cast.alice.command("lookup", cast.bob.peer_id)
        if not found["found"] or found["peer_id"] != cast.bob.peer_id:
            raise DemoFailed(f"bob was not found: {found['failure']}")
        figures.look_up_ms = found["took_s"] * 1000
        step.result = f"{figures.look_up_ms:.1f} ms, signed record of {found['record']['size_bytes']:,} bytes"
    with screen.step("without trust there is no connection") as step:
        cast.alice.trust(cast.bob)
        if (
            cast.alice.host.run(["ping", "-n", "-c", "1", "-w", "1", cast.bob.overlay_address], check=False).returncode
            == 0
        ):
            raise DemoFailed("bob answered somebody whom he does not trust")
        step.result = "alice trusts bob, bob stays silent"
    with screen.step("both trust each other: post-quantum handshake") as step:
        cast.bob.trust(cast.alice)
        answer = cast.alice.command("ping", "bob", "-c", "1")
        figures.handshake_ms = cast.alice.peer(cast.bob)["handshake_s"] * 1000
        step.result = f"{figures.handshake_ms:.1f} ms, direct to {answer['pings'][0]['path']}"
    with screen.step("first ping through the tunnel") as step:
        figures.first_ping_ms = cast.alice.ping_through_tunnel(cast.bob)
        figures.ping_ms = cast.alice.ping_through_tunnel(cast.bob, count=10)
        step.result = f"{figures.first_ping_ms:.2f} ms, then {figures.ping_ms:.2f} ms (median of 10)"


def _move_the_file(screen: Screen, cast: _Cast, figures: Figures, folder: Path) -> None:
    served = folder / "served"
    served.mkdir()
    with screen.step(f"bob makes a file of {figures.file_bytes / _MIB:,.0f} MiB") as step:
        wanted = write_payload(served / "file", figures.file_bytes)
        step.result = f"SHA-256 {wanted[:16]}…"
    address = cast.bob.overlay_address
    server = cast.bob.host.start(
        [sys.executable, "-u", "-m", "http.server", str(HTTP_PORT), "--bind", address, "--directory", str(served)],
        name="bob-http",
    )
    server.wait_for_output("Serving HTTP", 10)
    carried_before = cast.backbone.carried()
    url = f"http://[{address}]:{HTTP_PORT}/file"
    client = cast.alice.host.start(
        [sys.executable, "-m", "shadowmesh.demo.fetch", url], name="alice-http", stdout=subprocess.PIPE
    )
    if client.stdout is None:
        raise LabError("the client was started without a pipe")
    report = _follow(screen, client.stdout, cast, figures)
    figures.backbone_bytes_during_transfer = cast.backbone.carried() - carried_before
    server.stop()
    if report.sha256 != wanted:
        raise DemoFailed("the file that arrived is not the file that was sent")
    figures.transfer_s = report.took_s
    figures.gbit_per_s = figures.file_bytes * 8 / figures.transfer_s / 1e9
    figures.longest_stall_ms = report.longest_stall_s * 1000
    with screen.step("alice has it, and the hash is equal") as step:
        step.result = f"{figures.transfer_s:.1f} s, {figures.gbit_per_s:.2f} Gbit/s"
    # Keepalives of the log-in and the kernel's neighbour chatter stay far below this, the file far above.
    if figures.backbone_bytes_during_transfer > max(100_000, figures.file_bytes // 1000):
        raise DemoFailed("the backbone's interface carried more than its own few messages while the file moved")


def _follow(screen: Screen, reports: IO[bytes], cast: _Cast, figures: Figures) -> FetchReport:
    """Shows the transfer, kills the backbone when half of it is there, and returns the last report."""
    report = FetchReport(0)
    killed_at: int | None = None
    with screen.transfer("alice fetches it through the tunnel", figures.file_bytes) as show:
        for line in reports:
            report = msgspec.json.decode(line, type=FetchReport)
            show(report.received)
            if killed_at is None and report.received >= figures.file_bytes // 2:
                cast.backbone.kill()
                killed_at = report.received
                screen.note(f"backbone killed after {killed_at / _MIB:,.0f} MiB")
    if killed_at is None or report.sha256 == "":
        raise DemoFailed(f"the transfer ended after {report.received / _MIB:,.0f} MiB")
    figures.received_after_backbone_died = report.received - killed_at
    return report


def _restart_without_backbone(screen: Screen, cast: _Cast, figures: Figures) -> None:
    with screen.step("bob's daemon restarts, the backbone is gone: found again from the cache") as step:
        cast.bob.process.stop()
        began = time.monotonic()
        cast.bob.up()
        cast.bob.ping_through_tunnel(cast.alice)
        figures.found_again_ms = (time.monotonic() - began) * 1000
        step.result = f"{figures.found_again_ms:.0f} ms from start to ping"


def _leave(screen: Screen, cast: _Cast) -> None:
    with screen.step("both leave; no device, address or route stays behind"):
        for node in (cast.alice, cast.bob):
            node.command("down")
            if node.process.wait(10) != 0:
                raise DemoFailed(f"{node.host.name}'s daemon ended with an error\n{node.process.tail()}")
            left = [device.name for device in node.host.devices() if device.name not in ("lo", "eth0")]
            if left:
                raise DemoFailed(f"{node.host.name} still has the device {left[0]}")
