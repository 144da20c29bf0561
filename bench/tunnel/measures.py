"""What is measured of a tunnel, in one repetition."""

import json
import math
import os
import re
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.tunnel.wire import Ends, Tunnel

from shadowmesh.lab.process import Process

PINGS = 1000
PING_INTERVAL_S = 0.002
UDP_LOAD = Path(__file__).with_name("udp_load.py")
UDP_PORT = 5202
MAX_LOSS = 0.001
MIN_KPPS, MAX_KPPS = 2.0, 400.0  # no system here is outside; the bare cable carries what one sender offers
SEARCH_STEPS = 7  # each halves the logarithm of the interval: the last one is 4 % wide
TRIAL_S = 0.5
UDP_S = 1
MIB = 1 << 20


@dataclass(slots=True)
class CpuTime:
    """Seconds that were used while it was measured."""

    vpn_s: float = 0.0
    machine_s: float = 0.0


def tcp(ends: Ends, tunnel: Tunnel, seconds: int) -> None:
    """One stream, one in reverse, four."""
    with cpu_time(tunnel.processes) as cpu:
        bits_per_s, received_bytes = iperf_tcp(ends, tunnel, seconds)
    gigabytes = received_bytes / 1e9
    tunnel.add(
        tcp1_gbps=bits_per_s / 1e9,
        vpn_cpu_s_per_gb=cpu.vpn_s / gigabytes,
        machine_cpu_s_per_gb=cpu.machine_s / gigabytes,
        tcp1_reverse_gbps=iperf_tcp(ends, tunnel, seconds, "--reverse")[0] / 1e9,
        tcp4_gbps=iperf_tcp(ends, tunnel, seconds, "--parallel", "4")[0] / 1e9,
    )


def iperf_tcp(ends: Ends, tunnel: Tunnel, seconds: int, *options: str) -> tuple[float, float]:
    """Bits a second and bytes, as the receiver counted them."""
    control = ("--congestion", ends.congestion_control)
    received = iperf(ends, tunnel, seconds, *control, *options)["end"]["sum_received"]
    return received["bits_per_second"], received["bytes"]


def iperf(ends: Ends, tunnel: Tunnel, seconds: int, *options: str) -> Any:
    command = ["iperf3", "--client", tunnel.address, "--time", f"{seconds}", "--json", *options]
    return json.loads(ends.near.run(command, timeout_s=seconds + 30).stdout)


def ping(ends: Ends, tunnel: Tunnel) -> None:
    command = ["ping", "-n", "-i", str(PING_INTERVAL_S), "-c", str(PINGS), tunnel.address]
    printed = ends.near.run(command, timeout_s=60).stdout
    times_us = [float(text) * 1000 for text in re.findall(r"time=([\d.]+) ms", printed)]
    tunnel.add(ping_median_us=statistics.median(times_us), ping_p99_us=statistics.quantiles(times_us, n=100)[98])


def udp_overload(ends: Ends, tunnel: Tunnel) -> None:
    """64-byte packets as fast as iperf3 can send them; what counts is how many arrive."""
    total = iperf(ends, tunnel, UDP_S, "--udp", "--bitrate", "0", "--length", "64")["end"]["sum"]
    tunnel.add(udp64_kpps=(total["packets"] - total["lost_packets"]) / total["seconds"] / 1e3)


def udp_loss_free(ends: Ends, tunnel: Tunnel) -> None:
    """The highest rate of 64-byte packets of which at most one in a thousand is lost: a bisection."""
    good, bad = MIN_KPPS, MAX_KPPS
    best = 0.0
    for _ in range(SEARCH_STEPS):
        offered = math.sqrt(good * bad)
        # A stall of the machine is no property of the tunnel: only two failures in a row count.
        sent = next((rate for rate in _trials(ends, tunnel, offered) if rate is not None), None)
        if sent is None:
            bad = offered
        else:
            good, best = offered, max(best, sent)
    tunnel.add(udp64_loss_free_kpps=best)


def _trials(ends: Ends, tunnel: Tunnel, kpps: float) -> Iterator[float | None]:
    """Twice: the rate that was really sent, in kpps, if enough of it arrived."""
    for _ in range(2):
        counter = ends.far.start([sys.executable, str(UDP_LOAD), "count", str(UDP_PORT)], name="udp-count")
        counter.wait_for_output("ready", 10)
        command = [sys.executable, str(UDP_LOAD), "send", tunnel.address, str(UDP_PORT), f"{kpps * 1e3}", str(TRIAL_S)]
        load = json.loads(ends.near.run(command).stdout)
        counter.wait(20)
        received = json.loads(counter.output().splitlines()[-1])["received"]
        yield load["sent"] / load["seconds"] / 1e3 if received >= load["sent"] * (1 - MAX_LOSS) else None


def memory(tunnel: Tunnel) -> None:
    """Of the larger end."""
    if tunnel.processes:
        tunnel.add(resident_mib=max(resident_bytes(process.pid) for process in tunnel.processes) / MIB)


@contextmanager
def cpu_time(processes: Sequence[Process]) -> Iterator[CpuTime]:
    used = CpuTime()
    vpn, machine = sum(cpu_s(process.pid) for process in processes), machine_cpu_s()
    yield used
    used.vpn_s = sum(cpu_s(process.pid) for process in processes) - vpn
    used.machine_s = machine_cpu_s() - machine


def cpu_s(pid: int) -> float:
    """User and system time of all threads (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_cpu_s() -> float:
    """All that was neither idle nor waiting nor stolen (proc_stat(5): user nice system idle iowait irq softirq)."""
    user, nice, system, _, _, irq, softirq = (int(text) for text in Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
