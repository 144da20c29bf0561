"""The port mapper against a real miniupnpd, in network namespaces."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.home_router import INTERNET, Home, make_home

from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network
from shadowmesh.lab.process import Process
from shadowmesh.wire.endpoint import Endpoint

pytestmark = pytest.mark.privileged

PROGRAM = Path(__file__).with_name("port_mapper_program.py")
PORT = 41641
ALL = ("PCP", "NAT_PMP", "UPNP")
each_protocol = pytest.mark.parametrize("protocol", ALL)
EPOCH_S = 4.0  # a router counts whole seconds, and two are allowed for latency
DEADLINE_S = 30.0  # for what takes at most eight seconds on an idle machine


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Network(ipv4=INTERNET, log_directory=tmp_path / "logs") as network:
        yield make_home(network, tmp_path)


@each_protocol
def test_a_mapping_lets_strangers_in_until_the_node_ends(home: Home, protocol: str) -> None:
    home.start_miniupnpd()
    alice = home.host("alice")
    mapper = start(alice, protocol)
    status = mapper.until_state("MAPPED")
    external = Endpoint.parse(status["external"])
    assert external == Endpoint(home.outside, PORT)
    assert status["protocol"] == protocol
    assert home.packet_gets_in(alice, PORT, external)
    assert mapper.end() == 0
    assert home.mappings() == ""
    assert not home.packet_gets_in(alice, PORT, external)


def test_an_ipv6_firewall_is_opened_until_the_node_ends(home: Home) -> None:
    home.start_miniupnpd()
    alice = home.host("alice", ipv6=True)
    external = Endpoint.of("2001:db8:7::11", PORT)
    assert not home.packet_gets_in(alice, PORT, external)
    mapper = start(alice, *ALL)
    found = {mapper.until_state("MAPPED")["external"] for _ in range(2)}
    assert found == {str(external), str(Endpoint(home.outside, PORT))}
    assert home.packet_gets_in(alice, PORT, external)
    assert mapper.end() == 0
    assert not home.packet_gets_in(alice, PORT, external)


def test_pcp_comes_first(home: Home) -> None:
    home.start_miniupnpd()
    assert start(home.host("alice"), *ALL).until_state("MAPPED")["protocol"] == "PCP"


def test_a_router_without_pcp_and_nat_pmp_is_asked_by_upnp(home: Home) -> None:
    home.start_miniupnpd(enable_natpmp="no")
    assert start(home.host("alice"), *ALL).until_state("MAPPED")["protocol"] == "UPNP"


def test_a_router_that_maps_nothing_is_given_up_with_the_reason(home: Home) -> None:
    status = start(home.host("alice"), *ALL).until_state("FAILED")
    assert status["reason"] == "PCP and NAT-PMP: the router's port 5351 is closed; UPnP IGD: no device"


def test_a_silent_router_is_given_up_with_the_reason(home: Home) -> None:
    home.router.run(["nft", "-f", "-"], stdin=SILENT)
    status = start(home.host("alice"), *ALL).until_state("FAILED")
    assert status["reason"] == "PCP: no answer; NAT-PMP: no answer; UPnP IGD: no device"


def test_a_host_without_a_router_asks_nobody(home: Home) -> None:
    alice = home.host("alice")
    alice.namespace.ip(["route del default"])
    mapper = start(alice, *ALL)
    assert mapper.end() == 0
    assert mapper.written("changed") == mapper.written("statuses") == []


@each_protocol
def test_an_early_renewal_extends_the_mapping(home: Home, protocol: str) -> None:
    home.start_miniupnpd()
    mapper = start(home.host("alice"), protocol)
    before = mapper.until_state("MAPPED")
    rules = home.mappings()
    mapper.until_it_expires_later_than(before["expires_at"])
    assert len(mapper.written("changed")) == 1
    assert home.mappings() == rules


def test_a_router_that_announces_its_restart_is_asked_again(home: Home) -> None:
    home.start_miniupnpd()
    alice = home.host("alice")
    mapper = start(alice, "PCP")
    mapper.until_state("MAPPED")
    mapper.until_it_has_lasted(EPOCH_S)
    home.restart_miniupnpd()
    assert mapper.until_state("FAILED")["reason"] == "the router says that it lost the mapping"
    external = Endpoint.parse(mapper.until_state("MAPPED")["external"])
    assert home.packet_gets_in(alice, PORT, external)


@pytest.mark.parametrize("protocol", ["NAT_PMP", "UPNP"])
def test_a_router_that_restarts_silently_is_asked_again_by_a_renewal(home: Home, protocol: str) -> None:
    home.start_miniupnpd()
    alice = home.host("alice")
    mapper = start(alice, protocol)
    before = mapper.until_state("MAPPED")
    home.restart_miniupnpd()
    mapper.until_it_expires_later_than(before["expires_at"])
    assert home.packet_gets_in(alice, PORT, Endpoint.parse(before["external"]))


@each_protocol
def test_a_port_that_another_host_has_gives_another_port(home: Home, protocol: str) -> None:
    home.start_miniupnpd()
    alice, bob = home.host("alice"), home.host("bob")
    first = Endpoint.parse(start(alice, protocol).until_state("MAPPED")["external"])
    second = Endpoint.parse(start(bob, protocol).until_state("MAPPED")["external"])
    assert first.port == PORT != second.port
    assert home.packet_gets_in(alice, PORT, first)
    assert home.packet_gets_in(bob, PORT, second)


def test_a_host_that_gets_another_address_takes_its_mapping_along(home: Home) -> None:
    home.start_miniupnpd()
    alice = home.host("alice")
    mapper = start(alice, *ALL)
    mapper.until_state("MAPPED")
    alice.namespace.ip(
        [
            "address flush dev eth0",
            "address add 192.168.7.77/24 dev eth0",
            "route add default via 192.168.7.1",
        ]
    )
    mapper.process.send_signal(signal.SIGUSR1)
    mapper.until_state("RELEASED")
    external = Endpoint.parse(mapper.until_state("MAPPED")["external"])
    assert home.packet_gets_in(alice, PORT, external)


def test_a_node_that_died_gets_its_port_back(home: Home) -> None:
    home.start_miniupnpd()
    alice = home.host("alice")
    first = start(alice, *ALL)
    first.until_state("MAPPED")
    first.process.kill()
    external = Endpoint.parse(start(alice, *ALL).until_state("MAPPED")["external"])
    assert external.port == PORT
    assert home.packet_gets_in(alice, PORT, external)


SILENT = """
table inet silent {
    chain input { type filter hook input priority 0; iifname "lan0" udp dport { 1900, 5351 } drop; }
}
"""


@dataclass(slots=True)
class Mapper:
    """The port mapper's process, and how far its changes were looked at."""

    process: Process
    looked_at: int = 0

    def written(self, what: str) -> list[dict[str, Any]]:
        """All statuses of this kind so far."""
        complete = [json.loads(line) for line in self.process.output().split("\n")[:-1] if line.startswith("{")]
        return [status for line in complete for status in line.get(what, [])]

    def until_state(self, state: str) -> dict[str, Any]:
        """The next change to this state."""
        found: list[dict[str, Any]] = []

        def has_come() -> bool:
            changes = self.written("changed")
            later = range(self.looked_at, len(changes))
            index = next((index for index in later if changes[index]["state"] == state), None)
            if index is not None:
                self.looked_at = index + 1
                found.append(changes[index])
            return bool(found)

        self._until(has_come)
        return found[0]

    def until_it_expires_later_than(self, moment: float) -> None:
        """Asks for renewals until it does."""

        def is_later() -> bool:
            self.process.send_signal(signal.SIGUSR1)
            return any((status["expires_at"] or 0) > moment for status in self.written("statuses"))

        self._until(is_later)

    def until_it_has_lasted(self, duration_s: float) -> None:
        ends_at = time.monotonic() + duration_s
        self._until(lambda: time.monotonic() >= ends_at)

    def end(self) -> int:
        self._until(lambda: "ready" in self.process.output())  # before, SIGTERM would just kill it
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, self.process.output()
            time.sleep(0.05)


def start(host: Host, *protocols: str) -> Mapper:
    return Mapper(host.start([sys.executable, str(PROGRAM), str(PORT), "3600", *protocols], name="port-mapper"))
