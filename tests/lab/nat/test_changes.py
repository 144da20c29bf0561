"""What can happen to a site while its hosts talk: mappings forgotten, addresses and uplinks changed, links cut."""

import contextlib
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Network, ip_address

import pytest
from tests.lab.nat.place import Place, at_once, label, place
from tests.lab.test_network import round_trips_ms

from shadowmesh.lab import leftovers
from shadowmesh.lab.errors import LabError
from shadowmesh.lab.host import Host
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.observer import Endpoint, bound, endpoint, receive
from shadowmesh.lab.nat.probe import lifetime_s
from shadowmesh.lab.nat.rules import Ipv6
from shadowmesh.lab.nat.site import Site
from shadowmesh.lab.repeated import repeated

pytestmark = pytest.mark.privileged

ARRIVES_S = 5.0  # far more than a busy machine needs
REFUSED_S = 0.3
MAPPED = [NatKind.FULL_CONE, NatKind.PORT_RESTRICTED, NatKind.SYMMETRIC, NatKind.PORT_BLOCK, NatKind.SEQUENTIAL]


@pytest.fixture(scope="module")
def world() -> Iterator[Place]:
    with place() as made:
        yield made


@pytest.mark.parametrize("kind", MAPPED)
def test_after_a_rebind_a_socket_has_a_new_outside_port(world: Place, kind: NatKind) -> None:
    site = world.internet.site(f"rebind-{label(kind)}", kind)
    with talk(world, site.hosts[0]) as talking:
        before = talking.seen()
        assert talking.hears(before)
        site.router.rebind()
        assert not talking.hears(before)
        after = talking.seen()
        assert after[0] == before[0]
        assert after[1] != before[1]
        assert talking.hears(after)
    found = world.observe(site.hosts[0])
    assert found is not None
    assert (found.mapping, found.filtering) == (kind.behaviour.mapping, kind.behaviour.filtering)


@pytest.mark.parametrize("change", ["rebind", "roam"])
def test_a_flow_that_never_pauses_gets_a_new_mapping_too(world: Place, change: str) -> None:
    site = world.internet.site(f"busy-{change}", NatKind.PORT_RESTRICTED_STRICT)
    watcher = world.watchers[0]
    with bound(watcher.socket, str(watcher.ipv4)) as outside, flow(site.hosts[0], endpoint(outside)):
        before = receive(outside, b"flow", ARRIVES_S)
        if change == "rebind":
            site.router.rebind()
        else:
            site.roam()
        deadline = time.monotonic() + ARRIVES_S
        while (source := receive(outside, b"flow", ARRIVES_S)) == before:
            assert time.monotonic() < deadline
        assert before is not None
        assert source is not None


def test_a_flush_closes_the_way_in_until_the_host_sends_again(world: Place) -> None:
    site = world.internet.site("flush")
    with talk(world, site.hosts[0]) as talking:
        before = talking.seen()
        assert site.router.conntrack_entries() > 0
        site.router.flush()
        assert site.router.conntrack_entries() == 0
        assert not talking.hears(before)
        assert talking.seen() == before
        assert talking.hears(before)


@pytest.mark.parametrize("kind", [NatKind.PUBLIC, NatKind.FIREWALL, NatKind.UDP_BLOCKED])
def test_where_nothing_is_mapped_nothing_can_be_rebound(world: Place, kind: NatKind) -> None:
    site = world.internet.site(f"fixed-{label(kind)}", kind)
    with pytest.raises(LabError, match="has no mappings of UDP to change"):
        site.router.rebind()


@pytest.mark.parametrize("kind", [NatKind.FULL_CONE, NatKind.PORT_RESTRICTED, NatKind.SYMMETRIC])
def test_after_a_roam_a_site_has_a_new_outside_address(world: Place, kind: NatKind) -> None:
    site = world.internet.site(f"roam-{label(kind)}", kind, ipv6=Ipv6.FIREWALL)
    with talk(world, site.hosts[0]) as talking, talk(world, site.hosts[0], ipv6=True) as talking6:
        before = talking.seen()
        site.roam()
        assert not talking.hears(before)
        after = talking.seen()
        assert after[0] == str(site.outside) != before[0]
        assert talking.hears(after)
        assert talking6.hears(talking6.seen())


def test_the_carrier_roams_and_not_the_site_behind_it(world: Place) -> None:
    carrier = world.internet.carrier("roaming")
    site = world.internet.site("subscriber", behind=carrier)
    with pytest.raises(LabError, match="is behind a carrier: renumber the carrier"):
        site.roam()
    with talk(world, site.hosts[0]) as talking:
        before = talking.seen()
        carrier.roam()
        after = talking.seen()
        assert after[0] == str(carrier.outside) != before[0]
        assert talking.hears(after)


def test_a_site_with_a_routed_network_does_not_roam(world: Place) -> None:
    site = world.internet.site("office", NatKind.FIREWALL)
    with pytest.raises(LabError, match="the hosts' addresses are their own"):
        site.roam()


@pytest.mark.parametrize("ipv6", [False, True])
def test_a_host_with_two_uplinks_takes_the_other_one_while_the_first_is_cut(world: Place, ipv6: bool) -> None:
    wifi = world.internet.site(f"wifi-{ipv6:d}", ipv6=Ipv6.FIREWALL)
    mobile = world.internet.site(f"mobile-{ipv6:d}", hosts=0, ipv6=Ipv6.FIREWALL)
    phone = wifi.hosts[0]
    mobile.attach(phone)
    comes_from(world, phone, wifi, ipv6=ipv6)
    phone.link_down("eth0")
    comes_from(world, phone, mobile, ipv6=ipv6)
    phone.link_up("eth0")
    comes_from(world, phone, wifi, ipv6=ipv6)


def test_a_host_is_unplugged_here_and_plugged_in_there(world: Place) -> None:
    home = world.internet.site("home")
    cafe = world.internet.site("cafe", NatKind.SYMMETRIC, hosts=0)
    laptop = home.hosts[0]
    home.detach(laptop)
    assert [device.name for device in laptop.devices()] == ["lo"]
    assert not home.hosts
    cafe.attach(laptop)
    with talk(world, laptop) as talking:
        assert talking.seen()[0] == str(cafe.outside)


def test_an_idle_mapping_lives_as_long_as_was_asked_for(world: Place) -> None:
    kinds = [NatKind.FULL_CONE, NatKind.PORT_RESTRICTED, NatKind.SYMMETRIC, NatKind.FIREWALL]
    sites = [world.internet.site(f"brief-{label(kind)}", kind, mapping_timeout_s=2) for kind in kinds]

    def lives_s(site: Site) -> float:
        host = site.hosts[0]
        with world.observers() as observers:
            return lifetime_s(host.socket, str(host.ipv4), observers, [1.0, 3.5])

    assert at_once(lives_s, sites) == [1.0] * len(sites)


def test_the_router_counts_one_entry_for_each_flow(world: Place) -> None:
    site = world.internet.site("counted")
    with site.hosts[0].socket() as sender:
        sender.bind((str(site.hosts[0].ipv4), 0))
        for port in range(9001, 9006):
            sender.sendto(b"", (str(world.watchers[0].ipv4), port))
            sender.sendto(b"", (str(world.watchers[0].ipv4), port))
    assert site.router.conntrack_entries() == 5


def test_two_hosts_with_one_port_never_share_a_strict_mapping(world: Place) -> None:
    site = world.internet.site("strict", NatKind.PORT_RESTRICTED_STRICT, hosts=2)
    first, second = (sources_seen(world, host, 41641) for host in site.hosts)
    assert {port for _, port in first} == {41641}
    assert len({port for _, port in second}) == 1
    assert second[0] != first[0]


def test_two_hosts_with_one_port_share_a_plain_mapping_until_they_send_to_the_same_place(world: Place) -> None:
    site = world.internet.site("shared", NatKind.PORT_RESTRICTED, hosts=2)
    one, other = site.hosts
    shared = (str(site.outside), 41641)
    with talk(world, one, port=41641) as first, talk(world, other, port=41641, watcher=1) as second:
        assert first.seen() == second.seen() == shared
    assert sources_seen(world, one, 41641) == [shared, shared]
    clashing = sources_seen(world, other, 41641)
    assert {address for address, _ in clashing} == {shared[0]}
    assert all(port != shared[1] for _, port in clashing)


@pytest.mark.parametrize("input_filter", [True, False])
def test_a_router_without_an_input_filter_gives_an_early_peer_the_port(world: Place, input_filter: bool) -> None:
    site = world.internet.site(f"early-{input_filter:d}", NatKind.PORT_RESTRICTED, input_filter=input_filter)
    with talk(world, site.hosts[0], port=41641) as talking:
        assert not talking.hears((str(site.outside), 41641))
        assert (talking.seen()[1] == 41641) == input_filter


def test_two_homes_may_have_the_same_network_inside(world: Place) -> None:
    lan = IPv4Network("192.168.1.0/24")
    sites = [world.internet.site(name, lan=lan) for name in ("twin-1", "twin-2")]
    assert sites[0].hosts[0].ipv4 == sites[1].hosts[0].ipv4
    for site in sites:
        with talk(world, site.hosts[0]) as talking:
            assert talking.seen()[0] == str(site.outside)


def test_where_udp_is_blocked_tcp_passes_on_the_ports_of_the_web_alone(world: Place) -> None:
    site = world.internet.site("strict-office", NatKind.UDP_BLOCKED)
    assert connects(site.hosts[0], world.watchers[0], 443)
    assert connects(site.hosts[0], world.watchers[0], 80)
    assert not connects(site.hosts[0], world.watchers[0], 8443)


@pytest.mark.parametrize("behind", [False, True])
def test_a_site_gets_a_bad_uplink_in_both_directions(world: Place, behind: bool) -> None:
    carrier = world.internet.carrier("slow-carrier") if behind else None
    site = world.internet.site(f"slow-{behind:d}", behind=carrier)
    router, host = site.router.host, site.hosts[0]
    router.impair(delay_ms=50, both_ways=True)
    assert all(100 <= trip < 200 for trip in round_trips_ms(host, world.watchers[0].ipv4))
    router.impair(loss_percent=100, both_ways=True)
    assert round_trips_ms(host, world.watchers[0].ipv4) == []
    router.clear()
    assert min(round_trips_ms(host, world.watchers[0].ipv4)) < 10


def test_an_uplink_that_is_cut_carries_nothing_until_it_is_back(world: Place) -> None:
    site = world.internet.site("cut")
    with talk(world, site.hosts[0]) as talking:
        before = talking.seen()
        site.router.host.link_down("eth0")
        assert not talking.hears(before)
        site.router.host.link_up("eth0")
        assert talking.seen() == before


def test_a_carrier_gives_what_it_has_and_nothing_else(world: Place) -> None:
    carrier = world.internet.carrier("ipv4-only")
    with pytest.raises(LabError, match="ipv4-only-gw has no IPv6 to give"):
        world.internet.site("wants-ipv6", ipv6=Ipv6.FIREWALL, behind=carrier)
    with pytest.raises(LabError, match="gives one address, not a network"):
        world.internet.site("wants-network", NatKind.FIREWALL, behind=carrier)


def test_leaving_removes_routers_and_what_runs_on_them() -> None:
    with place() as made:
        site = made.internet.site("gone", NatKind.UPNP)
        (server,) = site.router.host.processes
        assert server.returncode is None
        names = [host.namespace.name for host in made.network.hosts.values()]
        assert set(names) <= set(leftovers.namespaces())
    assert server.returncode is not None
    assert not set(names) & set(leftovers.namespaces())
    assert not site.router.host.namespace.directory.exists()


class Talk:
    """A socket on a host, and an observer's that it sends to."""

    def __init__(self, inside: socket.socket, outside: socket.socket) -> None:
        self._inside = inside
        self._outside = outside
        self._sent = 0

    def seen(self) -> Endpoint:
        """Sends, again if need be, and tells from where that came."""
        nonce = self._nonce()
        deadline = time.monotonic() + ARRIVES_S
        while time.monotonic() < deadline:
            self._inside.sendto(nonce, endpoint(self._outside))
            if (source := receive(self._outside, nonce, REFUSED_S)) is not None:
                return source
        raise AssertionError(f"{endpoint(self._inside)} is not seen")

    def hears(self, target: Endpoint) -> bool:
        """Whether what the observer sends there arrives."""
        nonce = self._nonce()
        self._outside.sendto(nonce, target)
        return receive(self._inside, nonce, REFUSED_S) is not None

    def _nonce(self) -> bytes:
        self._sent += 1
        return b"%d" % self._sent


@contextlib.contextmanager
def talk(world: Place, host: Host, *, ipv6: bool = False, port: int = 0, watcher: int = 0) -> Iterator[Talk]:
    outside = world.watchers[watcher]
    with (
        bound(host.socket, str(host.ipv6 if ipv6 else host.ipv4), port) as near,
        bound(outside.socket, str(outside.ipv6 if ipv6 else outside.ipv4)) as far,
    ):
        yield Talk(near, far)


@contextlib.contextmanager
def flow(host: Host, destination: Endpoint) -> Iterator[None]:
    """A datagram each few milliseconds from one socket."""
    with bound(host.socket, str(host.ipv4)) as inside, repeated(lambda: _send(inside, destination), 0.002):
        yield


def _send(inside: socket.socket, destination: Endpoint) -> None:
    inside.sendto(b"flow", destination)


def sources_seen(world: Place, host: Host, port: int) -> list[Endpoint]:
    """How each watcher's port 7000 sees the same socket."""
    with contextlib.ExitStack() as stack:
        inside = stack.enter_context(bound(host.socket, str(host.ipv4), port))
        watchers = [stack.enter_context(bound(at.socket, str(at.ipv4), 7000)) for at in world.watchers]
        return [Talk(inside, watcher).seen() for watcher in watchers]


def comes_from(world: Place, host: Host, site: Site, *, ipv6: bool) -> None:
    """Sends from whatever address the kernel chooses, until it goes by the site: a change of cable takes its time."""
    watcher = world.watchers[0]
    deadline = time.monotonic() + ARRIVES_S
    address = None
    with bound(watcher.socket, str(watcher.ipv6 if ipv6 else watcher.ipv4)) as outside:
        while time.monotonic() < deadline:
            with bound(host.socket, "::" if ipv6 else "0.0.0.0") as inside:
                inside.sendto(b"here", endpoint(outside))
            source = receive(outside, b"here", REFUSED_S)
            address = None if source is None else ip_address(source[0])
            if address is not None and (address == site.outside or (site.lan.ipv6 and address in site.lan.ipv6)):
                return
    raise AssertionError(address)


def connects(host: Host, server: Host, port: int) -> bool:
    with server.socket(type=socket.SOCK_STREAM) as listening, host.socket(type=socket.SOCK_STREAM) as client:
        listening.bind((str(server.ipv4), port))
        listening.listen()
        client.settimeout(1.0)
        with contextlib.suppress(TimeoutError):
            client.connect((str(server.ipv4), port))
            return True
    return False
