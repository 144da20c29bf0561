"""Where the engine's time goes while one TCP stream runs: samples of both ends by `perf`, sorted into groups.

The extension is built once more, with symbols and frame pointers; the installed one has neither.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.tunnel.measures import iperf_tcp
from bench.tunnel.wire import Ends, Tunnel

ENGINE = Path(__file__).resolve().parents[2] / "engine"
TARGET = ENGINE / "target" / "profile"
SAMPLES_PER_S = 1999  # prime, so that it never falls into step with the kernel's tick
REST = "the rest"

# A sample's group is the first whose pattern matches the function it was taken in (leaves) or one of those that
# called it (callers). Segments of both directions are cut and joined by functions that the compiler inlines.
LEAVES = (
    ("encryption and authentication", r"chacha|poly1305|aes|gcm|ghash|aead|ring_core"),
    ("checksums", r"checksum::"),
    ("copies in the engine", r"^_*mem(cpy|move|set)|copy_nonoverlapping|copy_from_slice|ptr::copy"),
    ("copies between kernel and engine", r"^(rep_movs|copy_|_copy_|__pi_memcpy|csum_and_copy|clear_page)"),
)
CALLERS = (
    ("kernel: far end of the cable", r"^(net_rx_action|__napi_poll|process_backlog)"),
    ("kernel: UDP send", r"sendm?msg|sendto"),
    ("kernel: UDP receive", r"recvm?msg|recvfrom"),
    ("kernel: TUN read", r"^tun_(chr_read_iter|do_read)"),
    ("kernel: TUN write", r"^tun_(chr_write_iter|get_user)"),
    ("kernel: poll, locks, wake-ups", r"poll|futex|eventfd"),
    ("segmentation, tables, counters of the engine", r"shadowmesh_"),
)


class NoProfile(Exception):
    """Why there is none, in one line."""


def build_with_symbols() -> Path:
    """Raises NoProfile."""
    if shutil.which("perf") is None:
        raise NoProfile("no perf on PATH: on Debian, apt-get install linux-perf")
    env = os.environ | {
        "CARGO_PROFILE_RELEASE_DEBUG": "line-tables-only",
        "CARGO_PROFILE_RELEASE_STRIP": "none",
        "RUSTFLAGS": "-C force-frame-pointers=yes",
    }
    manifest = ["--manifest-path", str(ENGINE / "python" / "Cargo.toml"), "--target-dir", str(TARGET)]
    command = ["cargo", "build", "--release", "--quiet", "--features", "extension-module", *manifest]
    built = subprocess.run(command, env=env, capture_output=True, text=True)
    if built.returncode != 0:
        raise NoProfile(f"the engine with symbols: {built.stderr.strip().rpartition(chr(10))[2]}")
    return TARGET / "release" / "lib_engine.so"


def profile(ends: Ends, tunnel: Tunnel, seconds: int) -> Counter[str]:
    """Samples by group, of both ends together."""
    pids = ",".join(str(process.pid) for process in tunnel.processes)
    with TemporaryDirectory() as directory:
        data = str(Path(directory, "perf.data"))
        record = ["perf", "record", "-q", "-g", "-e", "cpu-clock", "-F", str(SAMPLES_PER_S), "-p", pids, "-o", data]
        recorder = subprocess.Popen([*record, "--", "sleep", str(seconds)], stderr=subprocess.DEVNULL)
        iperf_tcp(ends, tunnel, seconds)
        if recorder.wait(seconds + 30) != 0:
            raise NoProfile("perf record failed: it needs root and kernel.perf_event_paranoid below 3")
        script = ["perf", "script", "--inline", "-F", "ip,sym", "-i", data]
        return Counter(map(group, stacks(subprocess.run(script, capture_output=True, text=True, check=True).stdout)))


def stacks(script: str) -> Iterator[Sequence[str]]:
    """The functions of each sample, innermost first, inlined ones among them."""
    for sample in script.split("\n\n"):
        functions = [line.split(None, 1)[1].strip() for line in sample.splitlines() if len(line.split(None, 1)) == 2]
        if functions:
            yield functions


def group(stack: Sequence[str]) -> str:
    for name, pattern in LEAVES:
        if re.search(pattern, stack[0], re.IGNORECASE):
            return name
    for name, pattern in CALLERS:
        if any(re.search(pattern, function) for function in stack):
            return name
    return REST


def table(name: str, samples: Counter[str]) -> str:
    total = sum(samples.values())
    lines = [f"{name}: {total} samples of both ends"]
    lines += [f"  {what:48}{count / total:7.1%}" for what, count in samples.most_common()]
    return "\n".join(lines)
