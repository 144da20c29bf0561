"""Two and more real nodes, real backbones, real programs on top, in network namespaces."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shadowmesh.demo.actors import Backbone, LightNode
from shadowmesh.demo.payload import write_payload
from shadowmesh.lab.commands import run
from shadowmesh.lab.network import Network

pytestmark = pytest.mark.privileged

MIB = 1 << 20


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with Network(log_directory=tmp_path / "logs") as network:
        yield network


def test_a_packet_to_a_trusted_peer_brings_the_connection_up(network: Network, tmp_path: Path) -> None:
    alice, bob, _ = a_pair(network, tmp_path)
    assert alice.ping_through_tunnel(bob) > 0
    assert alice.peer(bob)["state"] == "connected"


def test_ping_tells_the_direct_path(network: Network, tmp_path: Path) -> None:
    alice, bob, _ = a_pair(network, tmp_path)
    answer = alice.command("ping", "bob", "-c", "2")
    assert answer["received"] == 2
    path = answer["pings"][0]["path"]
    assert str(bob.host.ipv4) in path or str(bob.host.ipv6) in path


def test_a_file_arrives_whole_and_the_backbone_carries_nothing_of_it(network: Network, tmp_path: Path) -> None:
    alice, bob, backbone = a_pair(network, tmp_path)
    alice.ping_through_tunnel(bob)
    before = backbone.carried()
    wanted, got = transfer(bob, alice, tmp_path, size=64 * MIB)
    assert got == wanted
    assert backbone.carried() - before < 64 * MIB // 100


def test_one_sided_trust_gives_nothing(network: Network, tmp_path: Path) -> None:
    alice, bob, _ = a_pair(network, tmp_path, mutual=False)
    assert not reaches(alice, bob)
    assert not reaches(bob, alice)
    assert alice.peer(bob)["state"] != "connected"


def test_untrusting_a_peer_ends_its_traffic_at_once(network: Network, tmp_path: Path) -> None:
    alice, bob, _ = a_pair(network, tmp_path)
    alice.ping_through_tunnel(bob)
    bob.command("peers", "untrust", "alice")
    assert not reaches(alice, bob)


def test_a_pair_stays_connected_when_the_backbone_dies(network: Network, tmp_path: Path) -> None:
    alice, bob, backbone = a_pair(network, tmp_path)
    alice.ping_through_tunnel(bob)
    backbone.kill()
    wanted, got = transfer(bob, alice, tmp_path, size=16 * MIB)
    assert got == wanted


def test_a_node_that_restarts_without_a_backbone_finds_its_peer_from_the_cache(
    network: Network, tmp_path: Path
) -> None:
    alice, bob, backbone = a_pair(network, tmp_path)
    alice.ping_through_tunnel(bob)
    backbone.kill()
    bob.process.stop()
    bob.up()
    assert bob.ping_through_tunnel(alice) > 0


def test_after_kill_9_identity_trust_and_cache_are_there_and_nothing_is_left_in_the_kernel(
    network: Network, tmp_path: Path
) -> None:
    alice, bob, backbone = a_pair(network, tmp_path)
    alice.ping_through_tunnel(bob)
    routes_before_up = bare_host_routes(network)
    bob.process.kill()
    assert [device.name for device in bob.host.devices()] == ["lo", "eth0"]
    assert len(bob.host.routes()) == len(routes_before_up)
    backbone.kill()
    bob.up()
    assert bob.command("id")["identity"]["fingerprint"] == bob.fingerprint
    assert [peer["name"] for peer in bob.command("peers", "list")["trusted"]] == ["alice"]
    assert bob.ping_through_tunnel(alice) > 0


def test_down_leaves_no_device_address_or_route(network: Network, tmp_path: Path) -> None:
    alice, bob, _ = a_pair(network, tmp_path)
    alice.ping_through_tunnel(bob)
    alice.command("down")
    assert alice.process.wait(10) == 0
    assert [device.name for device in alice.host.devices()] == ["lo", "eth0"]
    assert len(alice.host.routes()) == len(bare_host_routes(network))
    assert not (alice.home / "control.sock").exists()


def test_sigterm_ends_the_daemon_cleanly(network: Network, tmp_path: Path) -> None:
    alice, _, _ = a_pair(network, tmp_path)
    alice.process.send_signal(signal.SIGTERM)
    assert alice.process.wait(10) == 0


def test_a_pair_connects_over_ipv6_when_there_is_no_ipv4(network: Network, tmp_path: Path) -> None:
    alice, bob, _ = a_pair(network, tmp_path, mutual=False)
    for node in (alice, bob):
        drop_udp_over_ipv4(node)
    bob.trust(alice)
    answer = alice.command("ping", "bob", "-c", "1")
    assert str(bob.host.ipv6) in answer["pings"][0]["path"]


def test_a_pair_connects_on_a_link_that_loses_five_packets_in_a_hundred(network: Network, tmp_path: Path) -> None:
    alice, bob, _ = a_pair(network, tmp_path)
    for node in (alice, bob):
        node.host.impair(delay_ms=20, loss_percent=5)
    assert alice.command("ping", "bob", "-c", "3")["received"] >= 1


def test_a_client_fails_over_to_the_second_backbone_of_the_directory(network: Network, tmp_path: Path) -> None:
    first, second = (Backbone(network.host(f"backbone{n}"), tmp_path / f"backbone{n}") for n in (1, 2))
    first.start()
    second.start()
    introduce(first, second, tmp_path)
    alice, bob = (LightNode(network.host(name), tmp_path / name) for name in ("alice", "bob"))
    for node in (alice, bob):
        node.up("--backbone", first.pin)
        node.wait_online()
    wait_until(lambda: alice.command("status")["link"]["known"] == 2)
    wait_until(lambda: bob.command("status")["link"]["known"] == 2)
    first.kill()
    wait_until(lambda: alice.command("status")["link"]["url"] == second.url)
    wait_until(lambda: bob.command("status")["link"]["url"] == second.url)
    alice.wait_online()
    bob.wait_online()
    alice.trust(bob)
    bob.trust(alice)
    assert alice.ping_through_tunnel(bob, within_s=20) > 0


def test_a_backbone_with_another_key_is_refused(network: Network, tmp_path: Path) -> None:
    backbone = Backbone(network.host("backbone"), tmp_path / "backbone")
    backbone.start()
    alice = LightNode(network.host("alice"), tmp_path / "alice")
    alice.up("--backbone", f"{backbone.url}#{alice.fingerprint}")
    wait_until(lambda: "key" in alice.command("status")["link"]["reason"])
    assert alice.command("status")["link"]["state"] != "online"


def test_a_second_daemon_on_one_home_is_refused_in_one_line(network: Network, tmp_path: Path) -> None:
    alice, _, _ = a_pair(network, tmp_path)
    command = [sys.executable, "-m", "shadowmesh", "--home", str(alice.home), "up", "--tun", "none"]
    result = alice.host.run(command, check=False, timeout_s=20)
    assert result.returncode == 4  # docs/spec/control.md, section 4
    assert len(result.stderr.strip().splitlines()) == 1
    assert "shadowmesh down" in result.stderr


def a_pair(network: Network, folder: Path, *, mutual: bool = True) -> tuple[LightNode, LightNode, Backbone]:
    """Alice and bob, both logged in; alice trusts bob, and bob alice if `mutual`."""
    backbone = Backbone(network.host("backbone"), folder / "backbone")
    backbone.start()
    alice, bob = (LightNode(network.host(name), folder / name) for name in ("alice", "bob"))
    for node in (alice, bob):
        node.up("--backbone", backbone.pin)
    for node in (alice, bob):
        node.wait_online()
    alice.trust(bob)
    if mutual:
        bob.trust(alice)
    return alice, bob, backbone


def reaches(node: LightNode, other: LightNode) -> bool:
    command = ["ping", "-n", "-c", "2", "-i", "0.2", "-w", "3", other.overlay_address]
    return node.host.run(command, check=False).returncode == 0


def transfer(server: LightNode, client: LightNode, folder: Path, *, size: int) -> tuple[str, str]:
    """Moves a file over HTTP through the tunnel; SHA-256 of what was sent and of what came."""
    served = folder / "served"
    served.mkdir()
    wanted = write_payload(served / "file", size)
    address = server.overlay_address
    program = [sys.executable, "-u", "-m", "http.server", "8080", "--bind", address, "--directory", str(served)]
    server.host.start(program, name="http-server").wait_for_output("Serving HTTP", 10)
    fetch = [sys.executable, "-m", "shadowmesh.demo.fetch", f"http://[{address}]:8080/file"]
    process = client.host.start(fetch, name="http-client", stdout=subprocess.PIPE)
    assert process.stdout is not None
    last = process.stdout.read().splitlines()[-1].decode()
    return wanted, last.split('"sha256": "')[1][:64]


def drop_udp_over_ipv4(node: LightNode) -> None:
    """TCP to the backbone stays."""
    node.host.run(["nft", "add table ip block"])
    node.host.run(["nft", "add chain ip block out { type filter hook output priority 0; }"])
    node.host.run(["nft", "add rule ip block out udp dport 41641 drop"])


def introduce(first: Backbone, second: Backbone, folder: Path) -> None:
    """The operator's steps: each backbone describes itself, the first signs a directory of both."""
    files = []
    for backbone in (first, second):
        file = folder / f"{backbone.host.name}.json"
        file.write_text(backbone_command(backbone, "node"))
        files.append(str(file))
    backbone_command(first, "directory", "make", *files)
    shared = first.data / "directory.cose"
    backbone_command(second, "directory", "install", str(shared))


def backbone_command(backbone: Backbone, *words: str) -> str:
    command = [sys.executable, "-m", "shadowmesh", "backbone", *words, "--data", str(backbone.data)]
    return run(command, timeout_s=20).stdout


def bare_host_routes(network: Network) -> tuple[object, ...]:
    """Routes of a host on which nothing of ours ever ran."""
    name = f"bare{len(network.hosts)}"
    return network.host(name).routes()


def wait_until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)
