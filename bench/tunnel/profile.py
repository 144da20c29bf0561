"""Where the engine's time goes while one TCP stream runs: samples of both ends by `perf`, sorted into groups.

The extension is built once more, with symbols and frame pointers; the installed one has neither.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.tunnel.measures import iperf_tcp
from bench.tunnel.wire import Ends, Tunnel

ENGINE = Path(__file__).resolve().parents[2] / "engine"
TARGET = ENGINE / "target" / "profile"
LIBRARY = TARGET / "release" / "lib_engine.so"
FRAME = re.compile(r"^\s*[0-9a-f]+ (\S+) \((.*)\)$", re.MULTILINE)  # "  7f12 symbol+0x1f (file)"
SAMPLES_PER_S = 1999  # prime, so that it never falls into step with the kernel's tick
REST = "the rest"

# A sample's group is the first whose pattern matches the function that it was taken in, or one that the compiler put
# it into (leaves), else the first that matches one of its callers.
LEAVES = (
    ("encryption and authentication", r"chacha|poly1305|aes|gcm|ghash|aead|ring_core"),
    ("checksums", r"checksum::|/checksum\.rs"),
    ("copies in the engine", r"^_*mem(cpy|move|set)"),
    ("engine: cutting into packets", r"/segment\.rs|segment::"),
    ("engine: joining packets", r"/join\.rs|join::"),
    ("copies between kernel and engine", r"^(rep_movs|copy_|_copy_|__pi_memcpy|csum_and_copy|clear_page)"),
)
CALLERS = (
    ("kernel: far end of the cable", r"^(net_rx_action|__napi_poll|process_backlog)"),
    ("kernel: poll, wake-ups, scheduling", r"^(__schedule|handle_softirqs|irqentry_|do_sys_poll)|futex|eventfd"),
    ("kernel: UDP send", r"sendm?msg"),
    ("kernel: UDP receive", r"recvm?msg"),
    ("kernel: TUN read", r"^tun_(chr_read_iter|do_read)"),
    ("kernel: TUN write", r"^tun_(chr_write_iter|get_user)"),
    ("kernel: entry and exit of system calls", r"^(do_syscall_64|entry_SYSCALL_64|el0_svc)"),
    ("engine: tables, locks, counters, queues", r"shadowmesh_|short_backtrace"),
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
    return LIBRARY


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
        script = ["perf", "script", "--no-inline", "--no-demangle", "-F", "ip,sym,symoff,dso", "-i", data]
        printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    samples = [sample for text in printed.split("\n\n") if (sample := FRAME.findall(text))]
    inlined = inlined_at({sample[0][0] for sample in samples})
    return Counter(group(inlined.get(leaf, [leaf.partition("+")[0]]), callers) for (leaf, _), *callers in samples)


def inlined_at(places: Iterable[str]) -> dict[str, list[str]]:
    """For each "symbol+0x1f" of the extension: what the compiler put together there, functions and their sources."""
    listing = subprocess.run(["nm", "--defined-only", str(LIBRARY)], capture_output=True, text=True, check=True).stdout
    addresses = {line.split()[2]: int(line.split()[0], 16) for line in listing.splitlines()}
    known = {
        place: (addresses[symbol], offset)
        for place in places
        for symbol, _, offset in [place.partition("+")]
        if symbol in addresses
    }
    wanted = "\n".join(f"{base + int(offset or '0', 16):#x}" for base, offset in known.values())
    command = ["addr2line", "--addresses", "--inlines", "--functions", "--demangle", "-e", str(LIBRARY)]
    printed = subprocess.run(command, input=wanted, capture_output=True, text=True, check=True).stdout
    answers = [answer.splitlines()[1:] for answer in re.split(r"^0x", printed, flags=re.MULTILINE)[1:]]
    return dict(zip(known, answers, strict=True))


def group(leaf: Sequence[str], callers: Sequence[tuple[str, str]]) -> str:
    for name, pattern in LEAVES:
        if any(re.search(pattern, function, re.IGNORECASE) for function in leaf):
            return name
    stack = [*leaf, *(caller for caller, _ in callers)]
    for name, pattern in CALLERS:
        if any(re.search(pattern, function) for function in stack):
            return name
    return REST


def table(name: str, samples: Counter[str]) -> str:
    total = sum(samples.values())
    lines = [f"{name}: {total} samples of both ends"]
    lines += [f"  {what:48}{count / total:7.1%}" for what, count in samples.most_common()]
    return "\n".join(lines)
