"""The engine's TUN device, and two engines that talk to each other through it."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from shadowmesh._engine import Engine, EngineError, EngineFailed, UnroutedPacket
from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network

from .engine_lab import FAR, NEAR, engine_on, events_until, introduce, pings, transfers, tunnel, until

pytestmark = pytest.mark.privileged

OWNER = """
import os, time
from shadowmesh._engine import Engine
engine = Engine(private_key=os.urandom(32), tun="doomed0", addresses=["10.77.0.1/24", "fd5a:77::1/64"])
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("mtu", [1280, 1408])
def test_bulk_transfers_are_unharmed_both_ways_and_over_both_families(mtu: int) -> None:
    with tunnel(mtu=mtu) as (near_host, far_host, _, far):
        assert transfers(near_host, far_host, FAR.ipv6, 100_000_000)
        assert transfers(far_host, near_host, NEAR.ipv4, 100_000_000)
        (peer,) = far.counters().peers
        assert min(peer.rx_packets, peer.tx_packets) > 100_000_000 / mtu


def test_aes_carries_bulk_transfers_as_well() -> None:
    with tunnel(cipher="aes256gcm") as (near_host, far_host, _, _):
        assert transfers(near_host, far_host, FAR.ipv6, 100_000_000)
        assert transfers(far_host, near_host, NEAR.ipv4, 100_000_000)


def test_a_link_that_loses_packets_harms_none() -> None:
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        near_host, far_host = network.host("near"), network.host("far")
        near = stack.enter_context(engine_on(near_host, NEAR))
        far = stack.enter_context(engine_on(far_host, FAR))
        introduce(near_host, near, far_host, far)
        near_host.impair(loss_percent=1, delay_ms=2)
        assert transfers(near_host, far_host, FAR.ipv6, 5_000_000)
        assert transfers(far_host, near_host, NEAR.ipv4, 5_000_000)


def test_the_device_has_the_addresses_and_the_mtu_and_sends_nothing_of_its_own() -> None:
    with Network() as network:
        host = network.host("near")
        with engine_on(host, NEAR, tun="overlay%d", mtu=1300) as engine:
            assert engine.tun == "overlay0"
            shown = host.run(["ip", "address", "show", "dev", "overlay0"]).stdout
            assert "mtu 1300" in shown
            assert f"inet {NEAR.ipv4}/24" in shown
            assert f"inet6 {NEAR.ipv6}/64" in shown
            assert "fe80" not in shown
            assert "MULTICAST" not in shown
            assert not any(isinstance(event, UnroutedPacket) for event in engine.drain())
        assert not has_device(host, "overlay0")


def test_the_device_is_gone_when_its_process_was_killed() -> None:
    with Network() as network:
        host = network.host("near")
        process = host.start([sys.executable, "-c", OWNER])
        process.wait_for_output("ready", 20)
        assert has_device(host, "doomed0")
        process.kill()
        until(lambda: not has_device(host, "doomed0"))


def test_a_device_that_is_removed_underneath_is_told_and_ends_the_engine() -> None:
    with Network() as network:
        host = network.host("near")
        with engine_on(host, NEAR) as engine:
            host.namespace.ip([f"link del {engine.tun}"])
            failed = events_until(engine, EngineFailed)[-1]
            assert isinstance(failed, EngineFailed)
            assert f"TUN device {engine.tun}" in failed.reason
            with pytest.raises(EngineError, match="the engine has stopped"):
                engine.send([b"\x40"], ("127.0.0.1", 9))


def test_a_device_that_is_taken_down_and_up_again_goes_on() -> None:
    with tunnel() as (near_host, _, near, far):
        near_host.namespace.ip([f"link set {near.tun} down"])
        far.send([b"\x40"], (str(near_host.ipv4), near.port))
        near_host.namespace.ip([f"link set {near.tun} up"])
        assert pings(near_host, FAR.ipv4)
        assert not any(isinstance(event, EngineFailed) for event in near.drain())


def test_an_uplink_that_goes_away_for_a_while_does_not_end_the_engine() -> None:
    with tunnel() as (near_host, _, near, _):
        near_host.namespace.ip(["link set eth0 down"])
        assert not pings(near_host, FAR.ipv4, count=1, timeout_s=1)
        near.send([b"\x40"], ("198.51.100.1", 9))
        assert near.counters().drops["udp_send"] >= 2
        near_host.namespace.ip(["link set eth0 up"])
        assert pings(near_host, FAR.ipv4)


def test_a_packet_for_nobody_is_reported_once_and_then_unreachable() -> None:
    with Network() as network:
        host = network.host("near")
        with engine_on(host, NEAR) as engine:
            for address in ("10.77.0.50", "fd5a:77::50"):
                answer = host.run(["ping", "-n", "-c", "1", "-W", "6", address], check=False, timeout_s=20)
                assert "nreachable" in answer.stdout, answer.stdout
                reported = [event for event in engine.drain() if isinstance(event, UnroutedPacket)]
                assert [event.destination for event in reported] == [address]


def test_a_packet_waits_for_the_peer_that_python_adds_for_it() -> None:
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        near_host, far_host = network.host("near"), network.host("far")
        near = stack.enter_context(engine_on(near_host, NEAR))
        far = stack.enter_context(engine_on(far_host, FAR))
        psk = os.urandom(32)
        far.add_peer(near.public_key, psk, (str(near_host.ipv4), near.port), NEAR.prefixes)
        ping = near_host.start(["ping", "-n", "-c", "1", "-W", "8", FAR.ipv6])
        events_until(near, UnroutedPacket)
        near.add_peer(far.public_key, psk, (str(far_host.ipv4), far.port), FAR.prefixes)
        assert ping.wait(20) == 0


def test_without_a_device_the_packets_of_a_peer_are_counted_and_dropped() -> None:
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        near_host, far_host = network.host("near"), network.host("far")
        near = stack.enter_context(engine_on(near_host, NEAR))
        with far_host.enter():
            far = stack.enter_context(closing_engine(addresses=[f"{FAR.ipv4}/24"]))
        introduce(near_host, near, far_host, far)
        assert not pings(near_host, FAR.ipv4, count=1, timeout_s=1)
        until(lambda: far.counters().drops["no_device"] == 1)


@contextmanager
def closing_engine(*, addresses: Sequence[str] = ()) -> Iterator[Engine]:
    engine = Engine(private_key=os.urandom(32), addresses=addresses)
    try:
        yield engine
    finally:
        engine.stop()


def has_device(host: Host, name: str) -> bool:
    return any(device.name == name for device in host.devices())
