"""The lab on a real kernel: what a test that uses it may rely on."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

from shadowmesh.lab import leftovers
from shadowmesh.lab.commands import run
from shadowmesh.lab.errors import CommandError, LabError, Unavailable
from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network

pytestmark = pytest.mark.privileged

NETWORK_OF_THIS_THREAD = Path("/proc/thread-self/ns/net")

# Makes a network, starts a program, says so, and then waits to be ended.
OWNER = """
import signal, time
from shadowmesh.lab.network import Network
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits others
signal.signal(signal.SIGHUP, signal.SIG_DFL)
with Network() as network:
    process = network.host("alice").start(["sleep", "600"])
    print(process.pid, flush=True)
    time.sleep(600)
"""


def test_hosts_on_the_switch_reach_each_other_over_both_families() -> None:
    with Network() as network:
        alice, bob = network.host("alice"), network.host("bob")
        assert [str(address) for address in bob.addresses] == ["198.18.0.2/17", "2001:db8::2/64"]
        assert round_trips_ms(alice, bob.ipv4)
        assert round_trips_ms(alice, bob.ipv6)
        assert network.hosts == {"alice": alice, "bob": bob}


def test_a_host_has_the_addresses_that_were_chosen_for_it() -> None:
    with Network() as network:
        alice = network.host("alice", addresses=["198.18.7.1/17"])
        assert round_trips_ms(network.host("bob"), alice.ipv4)
        with pytest.raises(LabError, match="alice has no IPv6Address"):
            _ = alice.ipv6


def test_a_name_is_taken_once() -> None:
    with Network() as network:
        network.host("alice")
        with pytest.raises(LabError, match="alice is there already"):
            network.host("alice")


def test_a_direct_link_carries_frames_of_its_own_size_past_the_switch() -> None:
    with Network() as network:
        alice, bob = network.host("alice", on_switch=False), network.host("bob", on_switch=False)
        link = network.link(alice, bob, mtu=9000)
        assert [(device.name, device.mtu) for device in alice.devices()] == [("lo", 65536), ("eth0", 9000)]
        assert link.far.addresses == bob.addresses
        alice.run(["ping", "-c1", "-W1", "-M", "do", "-s", "8000", str(bob.ipv4)])
        assert round_trips_ms(alice, bob.ipv6)


def test_counters_move_with_what_is_sent() -> None:
    with Network() as network:
        alice, bob = network.host("alice"), network.host("bob")
        before = bob.interface_counters()["eth0"]
        round_trips_ms(alice, bob.ipv4, count=5)
        after = bob.interface_counters()["eth0"]
        assert after.rx_packets - before.rx_packets >= 5
        assert after.rx_bytes - before.rx_bytes >= 5 * 98
        assert after.tx_packets - before.tx_packets >= 5


def test_routes_tell_what_a_program_changed() -> None:
    with Network() as network:
        alice = network.host("alice")
        before = alice.routes()
        alice.run(["ip", "route", "add", "default", "via", "198.18.0.9", "table", "77"])
        (added,) = set(alice.routes()) - set(before)
        assert (added.destination, added.gateway, added.table) == ("default", "198.18.0.9", "77")


def test_delay_is_added_in_one_direction_until_it_is_cleared() -> None:
    with Network() as network:
        alice, bob = network.host("alice"), network.host("bob")
        alice.impair(delay_ms=100)
        assert all(100 <= trip < 150 for trip in round_trips_ms(alice, bob.ipv6))
        bob.impair(delay_ms=50)
        assert all(150 <= trip < 200 for trip in round_trips_ms(alice, bob.ipv6))
        alice.impair(delay_ms=10)
        assert all(60 <= trip < 100 for trip in round_trips_ms(alice, bob.ipv6))
        for host in (alice, bob):
            host.clear()
            host.clear()
        assert min(round_trips_ms(alice, bob.ipv6)) < 10


def test_delay_and_loss_in_both_directions_need_one_end_alone() -> None:
    with Network() as network:
        alice, bob = network.host("alice"), network.host("bob")
        alice.impair(delay_ms=50, both_ways=True)
        assert all(100 <= trip < 150 for trip in round_trips_ms(alice, bob.ipv4))
        assert all(100 <= trip < 150 for trip in round_trips_ms(bob, alice.ipv4))
        alice.impair(delay_ms=50)
        assert all(50 <= trip < 100 for trip in round_trips_ms(bob, alice.ipv4))
        alice.clear()
        assert min(round_trips_ms(bob, alice.ipv4)) < 10


def test_a_rate_in_both_directions_holds_for_what_is_received() -> None:
    with Network() as network:
        alice, bob = network.host("alice"), network.host("bob")
        alice.impair(rate_mbit=8, both_ways=True)
        assert 0.9 < transfer_s(bob, alice, payload_bytes=1_000_000) < 2.0


def test_a_renumbered_host_is_reached_by_its_new_addresses() -> None:
    with Network() as network:
        alice, bob = network.host("alice"), network.host("bob")
        before = alice.ipv4
        network.renumber(alice, "eth0")
        assert round_trips_ms(bob, alice.ipv4)
        assert round_trips_ms(bob, alice.ipv6)
        assert alice.ipv4 != before
        assert round_trips_ms(bob, before) == []


def test_loss_takes_about_the_share_that_was_asked_for() -> None:
    with Network() as network:
        alice, bob = network.host("alice"), network.host("bob")
        alice.impair(loss_percent=30)
        ping = alice.run(["ping", "-n", "-i0.002", "-c500", "-W1", str(bob.ipv4)], check=False)
        arrived = ping.stdout.count("bytes from")
        assert 275 < arrived < 425  # 350 expected; seven standard deviations either way


def test_a_link_that_loses_everything_says_nothing() -> None:
    with Network() as network:
        alice, bob = network.host("alice"), network.host("bob")
        bob.impair(loss_percent=100)
        assert round_trips_ms(alice, bob.ipv4) == []


def test_a_rate_holds_for_what_goes_through() -> None:
    with Network() as network:
        alice, bob = network.host("alice"), network.host("bob")
        alice.impair(rate_mbit=8)
        assert 0.9 < transfer_s(alice, bob, payload_bytes=1_000_000) < 2.0  # 1 s and the headers


def test_an_impaired_link_carries_large_segments_whole() -> None:
    with Network() as network:
        alice, bob = network.host("alice"), network.host("bob")
        alice.impair(delay_ms=1)
        bob.impair(delay_ms=1)
        assert transfer_s(alice, bob, payload_bytes=20_000_000) < 10


def test_a_direct_link_is_impaired_or_says_that_it_cannot_be() -> None:
    with Network() as network:
        alice, bob = network.host("alice", on_switch=False), network.host("bob", on_switch=False)
        network.link(alice, bob)
        try:
            alice.impair(delay_ms=50)
        except Unavailable as error:
            assert str(error) == "this kernel has no netem: a direct link cannot be impaired"  # noqa: PT017 - either
        else:
            assert min(round_trips_ms(alice, bob.ipv4)) >= 50


@pytest.mark.parametrize("impaired", [False, True])
def test_a_pulled_cable_takes_the_carrier_and_leaves_the_addresses(impaired: bool) -> None:
    with Network() as network:
        alice, bob = network.host("alice"), network.host("bob")
        if impaired:
            alice.impair(delay_ms=1)
        routes = alice.routes()
        alice.link_down()
        assert not carrier(alice, "eth0")
        assert round_trips_ms(bob, alice.ipv4) == []
        alice.link_up()
        assert carrier(alice, "eth0")
        assert alice.routes() == routes
        assert round_trips_ms(bob, alice.ipv6)


def test_a_direct_link_comes_back_with_its_addresses() -> None:
    with Network() as network:
        alice, bob = network.host("alice", on_switch=False), network.host("bob", on_switch=False)
        network.link(alice, bob)
        alice.link_down()
        assert not carrier(bob, "eth0")
        alice.link_up()
        assert round_trips_ms(bob, alice.ipv4)
        assert round_trips_ms(bob, alice.ipv6)


def test_a_command_on_a_host_fails_with_the_cause() -> None:
    with Network() as network:
        alice = network.host("alice")
        with pytest.raises(CommandError, match=r"Cannot find device|does not exist"):
            alice.run(["ip", "link", "show", "dev", "nothing"])
        with pytest.raises(Unavailable, match=r"^no-such-program is not installed$"):
            alice.start(["no-such-program"])


def test_a_socket_of_this_process_can_stand_on_a_host() -> None:
    with Network() as network:
        alice, bob = network.host("alice"), network.host("bob")
        here = NETWORK_OF_THIS_THREAD.readlink()
        with alice.socket() as sender, bob.socket() as receiver:
            receiver.settimeout(5)
            receiver.bind((str(bob.ipv4), 5000))
            sender.sendto(b"hello", (str(bob.ipv4), 5000))
            data, (source, _) = receiver.recvfrom(100)
        assert (data, source) == (b"hello", str(alice.ipv4))
        assert NETWORK_OF_THIS_THREAD.readlink() == here


def test_an_exception_on_a_host_brings_the_thread_back() -> None:
    with Network() as network:
        alice = network.host("alice")
        here = NETWORK_OF_THIS_THREAD.readlink()
        with pytest.raises(RuntimeError), alice.enter():
            fail_elsewhere_than(here)
        assert NETWORK_OF_THIS_THREAD.readlink() == here


def test_a_program_gets_the_signal_itself_and_its_environment() -> None:
    script = "import os, signal, sys; print(os.environ['GREETING'], os.getpid(), flush=True); signal.pause()"
    with Network() as network:
        process = network.host("alice").start([sys.executable, "-c", script], env={"GREETING": "hello"})
        process.wait_for_output(f"hello {process.pid}", 10)
        assert process.stop() == -signal.SIGTERM


def test_the_output_of_a_program_can_be_a_pipe() -> None:
    with Network() as network:
        process = network.host("alice").start(["sh", "-c", "echo out; echo err >&2"], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.read() == b"out\n"
        assert process.wait(5) == 0
        assert process.output() == "err\n"


def test_leaving_ends_all_programs_and_removes_all_namespaces() -> None:
    with Network() as network:
        alice = network.host("alice")
        plain = alice.start(["sleep", "600"])
        # setsid: leaves the process group that the program was started in.
        escaped = alice.start(["sh", "-c", "setsid sleep 600 & echo $!; wait"])
        escaped.wait_for_output("\n", 5)
        child = int(escaped.output())
        assert len(own_namespaces()) == 2
    assert own_namespaces() == []
    assert plain.returncode == -signal.SIGTERM
    assert not Path(f"/proc/{child}").exists() or "zombie" in Path(f"/proc/{child}/status").read_text()
    assert not plain.log.exists()
    network.close()


def test_an_exception_leaves_no_namespace_and_carries_the_logs() -> None:
    logs = []

    def block() -> None:
        with Network() as network:
            process = network.host("alice").start(["sh", "-c", "echo the cause"])
            logs.append(process.log)
            process.wait_for_output("success", 5)

    with pytest.raises(LabError) as caught:
        block()
    assert own_namespaces() == []
    (log,) = logs
    assert caught.value.__notes__ == [f"--- {log} (exit status 0)\nthe cause"]
    assert log.read_text() == "the cause\n"
    shutil.rmtree(log.parent)


def test_logs_stay_where_the_caller_wants_them(tmp_path: Path) -> None:
    with Network(log_directory=tmp_path / "logs") as network:
        process = network.host("alice").start(["echo", "hello"])
        process.wait(5)
    assert process.log.parent == tmp_path / "logs"
    assert process.log.read_text() == "hello\n"


def test_two_networks_do_not_disturb_each_other() -> None:
    with Network() as first, Network() as second:
        alice, bob = first.host("alice"), second.host("bob", addresses=["198.18.0.2/17"])
        assert round_trips_ms(alice, bob.ipv4) == []


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, {-2, 1}), (signal.SIGTERM, {143}), (signal.SIGHUP, {129})]
)
def test_a_signal_to_the_owner_leaves_nothing_behind(tmp_path: Path, number: signal.Signals, status: set[int]) -> None:
    with Owner(tmp_path) as owner:
        owner.popen.send_signal(number)
        assert owner.popen.wait(10) in status
        assert owner.namespaces() == []
        assert not owner.program_runs()
        assert list(tmp_path.iterdir()) == []


def test_a_sweep_removes_what_a_killed_owner_left_and_nothing_of_a_live_one(tmp_path: Path) -> None:
    with Owner(tmp_path) as dead, Owner(tmp_path) as alive:
        dead.popen.kill()
        dead.popen.wait(10)
        assert len(dead.namespaces()) == 2
        assert dead.program_runs()
        removed = leftovers.sweep()
        assert dead.lab_names() <= set(removed)
        assert dead.namespaces() == []
        assert not dead.program_runs()
        assert len(alive.namespaces()) == 2
        assert alive.program_runs()


class Owner:
    """Another process that owns a network, with its logs below the given directory."""

    def __init__(self, directory: Path) -> None:
        self._environment = {**os.environ, "TMPDIR": str(directory)}

    def __enter__(self) -> "Owner":
        self.popen = subprocess.Popen(
            [sys.executable, "-c", OWNER],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.popen.stdout is not None
        self.program = int(self.popen.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self.popen.terminate()
        self.popen.wait(10)
        assert self.popen.stdout is not None
        self.popen.stdout.close()
        leftovers.sweep()

    def namespaces(self) -> list[str]:
        return namespaces_of(self.popen.pid)

    def lab_names(self) -> set[str]:
        return {f"sm-{self.popen.pid}-0-{name}" for name in ("switch", "alice")}

    def program_runs(self) -> bool:
        status = Path(f"/proc/{self.program}/status")
        return status.exists() and "zombie" not in status.read_text()


def fail_elsewhere_than(network: Path) -> NoReturn:
    assert network != NETWORK_OF_THIS_THREAD.readlink()
    raise RuntimeError


def own_namespaces() -> list[str]:
    return namespaces_of(os.getpid())


def namespaces_of(pid: int) -> list[str]:
    found = run(["ip", "netns", "list"]).stdout.split()
    return sorted(name for name in found if name.startswith(f"sm-{pid}-"))


def round_trips_ms(host: Host, address: object, count: int = 3) -> list[float]:
    """The round trips of the echo requests that were answered."""
    ping = host.run(["ping", "-n", "-i0.02", f"-c{count}", "-W1", str(address)], check=False)
    return [float(line.split("time=")[1].split()[0]) for line in ping.stdout.splitlines() if "time=" in line]


def carrier(host: Host, interface: str) -> bool:
    return next(device.carrier for device in host.devices() if device.name == interface)


def transfer_s(source: Host, target: Host, payload_bytes: int) -> float:
    """How long a TCP transfer takes, from the connection to the last byte."""
    listening = target.socket(type=socket.SOCK_STREAM)
    sending = source.socket(type=socket.SOCK_STREAM)
    with listening, sending:
        listening.bind((str(target.ipv4), 5000))
        listening.listen()
        sending.connect((str(target.ipv4), 5000))
        receiving, _ = listening.accept()
        with receiving:
            started_at = time.monotonic()
            exchange(sending, receiving, payload_bytes)
            return time.monotonic() - started_at


def exchange(sending: socket.socket, receiving: socket.socket, payload_bytes: int) -> None:
    sending.setblocking(False)
    receiving.settimeout(10)
    chunk = bytes(65536)
    unsent, missing = payload_bytes, payload_bytes
    while missing:
        with suppress(BlockingIOError):
            unsent -= sending.send(chunk[:unsent]) if unsent else 0
        missing -= len(receiving.recv(2**20))
