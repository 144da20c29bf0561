"""Tables of medians, ranges and ratios to wireguard-go, and the targets."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.tunnel.systems import AES, CHACHA, MIXED, REFERENCE
from bench.tunnel.wire import Tunnel

TABLES: tuple[tuple[tuple[str, str, int], ...], ...] = (
    (
        ("tcp1_gbps", "TCP 1, Gbit/s", 2),
        ("tcp1_reverse_gbps", "TCP 1 reverse, Gbit/s", 2),
        ("tcp4_gbps", "TCP 4, Gbit/s", 2),
        ("vpn_cpu_s_per_gb", "VPN CPU, s/GB", 2),
        ("machine_cpu_s_per_gb", "machine CPU, s/GB", 2),
    ),
    (
        ("ping_median_us", "ping median, us", 0),
        ("ping_p99_us", "ping p99, us", 0),
        ("udp64_kpps", "UDP 64 B, kpps", 0),
        ("udp64_loss_free_kpps", "without loss, kpps", 0),
        ("resident_mib", "memory, MiB", 0),
    ),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio of ours to wireguard-go in the same run, or an absolute figure where `unit` is one."""

    what: str
    system: str
    figure: str
    limit: float
    at_most: bool = False
    unit: str = "x"

    def measured(self, tunnels: Sequence[Tunnel]) -> float | None:
        ours = median(tunnels, self.system, self.figure)
        if ours is None or self.unit != "x":
            return ours
        theirs = median(tunnels, REFERENCE, self.figure)
        return ours / theirs if theirs else None

    def line(self, tunnels: Sequence[Tunnel]) -> str:
        measured = self.measured(tunnels)
        goal = f"{'<=' if self.at_most else '>='} {self.limit:g} {self.unit}"
        if measured is None:
            return f"{self.what:48}{goal:>12}{'':>12}   not measured"
        reached = measured <= self.limit if self.at_most else measured >= self.limit
        return f"{self.what:48}{goal:>12}{measured:>10.2f} {self.unit:3} {'reached' if reached else 'MISSED'}"


NODE = "node"

TARGETS = (
    Target("TCP 1, AES-256-GCM", AES, "tcp1_gbps", 2.5),
    Target("TCP 1, ChaCha20-Poly1305", CHACHA, "tcp1_gbps", 1.8),
    Target("TCP 1, to a stock wireguard-go", MIXED, "tcp1_gbps", 1.0),
    Target("TCP 1, from a stock wireguard-go", MIXED, "tcp1_reverse_gbps", 1.0),
    Target("TCP 4, AES-256-GCM", AES, "tcp4_gbps", 3.0),
    Target("CPU of the VPN, AES-256-GCM", AES, "vpn_cpu_s_per_gb", 0.35, at_most=True),
    Target("ping median, AES-256-GCM", AES, "ping_median_us", 0.75, at_most=True),
    Target("UDP 64 B packets received, AES-256-GCM", AES, "udp64_kpps", 3.0),
    Target("resident memory of a node after load", NODE, "resident_mib", 60, at_most=True, unit="MiB"),
)


def tables(tunnels: Sequence[Tunnel]) -> str:
    """Each cell: median (range) ratio to wireguard-go."""
    lines = []
    for columns in TABLES:
        lines.append(f"{'':22}{'MTU':>5}" + "".join(f"{title:>27}" for _, title, _ in columns))
        for tunnel in tunnels:
            cells = "".join(f"{_cell(tunnels, tunnel, name, digits):>27}" for name, _, digits in columns)
            lines.append(f"{tunnel.name:22}{tunnel.mtu:5}{cells}")
        lines.append("")
    return "\n".join(lines)


def targets(tunnels: Sequence[Tunnel]) -> str:
    title = f"{'ours against current wireguard-go, this run':48}{'target':>12}{'measured':>10}"
    return "\n".join([title, *(target.line(tunnels) for target in TARGETS)])


def median(tunnels: Sequence[Tunnel], system: str, figure: str) -> float | None:
    found = next((tunnel for tunnel in tunnels if tunnel.name == system), None)
    values = found.figures.get(figure) if found else None
    return statistics.median(values) if values else None


def _cell(tunnels: Sequence[Tunnel], tunnel: Tunnel, figure: str, digits: int) -> str:
    values = tunnel.figures.get(figure)
    if not values:
        return "-"
    middle, reference = statistics.median(values), median(tunnels, REFERENCE, figure)
    spread = f"({min(values):.{digits}f}-{max(values):.{digits}f})" if len(values) > 1 else ""
    ratio = f"{middle / reference:.2f}x" if reference else ""
    return f"{middle:.{digits}f} {spread} {ratio:>6}"
