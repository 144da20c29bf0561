"""The engine's tunnel beside current wireguard-go on the same wire: throughput, CPU, latency, small packets, memory.

    python -m bench.tunnel --seconds 4 --repeat 5

Needs root, Go, iperf3, wg and ethtool. Two network namespaces are joined by a veth pair, and all tunnels between them
stand at the same time. Repetitions are interleaved, so that whatever else the machine does meets all of them; both
ends of a tunnel, the sender and the receiver share its CPUs. The veth pair itself is the ceiling.
"""

import argparse
import json
import sys
from pathlib import Path

from bench.tunnel import measures, report
from bench.tunnel import profile as profiling
from bench.tunnel.node_memory import node_memory
from bench.tunnel.profile import NoProfile, build_with_symbols
from bench.tunnel.systems import AES, CHACHA, standing
from bench.tunnel.wire import CUBIC, Ends, Tunnel, two_hosts
from bench.tunnel.wireguard_go import NoGo, build


def measure(ends: Ends, tunnels: list[Tunnel], seconds: int, repeat: int) -> None:
    for repetition in range(repeat):
        print(f"tunnel: repetition {repetition + 1} of {repeat}", file=sys.stderr, flush=True)
        for tunnel in tunnels:
            measures.ping(ends, tunnel)
            measures.tcp(ends, tunnel, seconds)
            measures.udp_overload(ends, tunnel)
    for tunnel in tunnels:
        print(f"tunnel: loss-free rate of {tunnel.name}", file=sys.stderr, flush=True)
        measures.udp_loss_free(ends, tunnel)
        measures.memory(tunnel)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=2, help="length of one transfer")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions, interleaved")
    controls = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    parser.add_argument("--congestion", choices=controls, default=CUBIC, help="control of TCP, the same for all")
    parser.add_argument("--all", action="store_true", help="Debian's wireguard-go and nebula as well")
    parser.add_argument("--profile", action="store_true", help="instead: where the engine's time goes (needs perf)")
    parser.add_argument("--json", action="store_true", help="all figures, for a program to read")
    arguments = parser.parse_args()
    try:
        reference = build()
        library = build_with_symbols() if arguments.profile else None
    except (NoGo, NoProfile) as error:
        sys.exit(f"tunnel: {error}")
    with two_hosts(arguments.congestion) as ends:
        tunnels = standing(ends, str(reference.program), every=arguments.all, library=library)
        if arguments.profile:
            for tunnel in tunnels:
                if tunnel.name in (CHACHA, AES):
                    print(profiling.table(tunnel.name, profiling.profile(ends, tunnel, arguments.seconds)))
            return
        measure(ends, tunnels, arguments.seconds, arguments.repeat)
    tunnels_and_node = [*tunnels, node_memory(arguments.seconds)]
    if arguments.json:
        figures = {tunnel.name: tunnel.figures for tunnel in tunnels_and_node}
        print(json.dumps({"reference": reference.version, "systems": figures}, indent=2))
        return
    print(f"wireguard-go: {reference.version}. Median (range) and ratio to wireguard-go.\n")
    print(report.tables(tunnels))
    print(report.targets(tunnels_and_node))


if __name__ == "__main__":
    main()
