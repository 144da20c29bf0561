"""All benchmarks, one after the other: `python -m bench` (root). Options go to each of them, `--json` for instance."""

import subprocess
import sys

BENCHMARKS = ("tunnel", "many_peers", "handshake", "backbone", "node", "session", "flood", "roaming")


def main() -> None:
    failed = []
    for name in BENCHMARKS:
        print(f"\n== {name}: python -m bench.{name}", file=sys.stderr, flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}", *sys.argv[1:]]).returncode != 0:
            failed.append(name)
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
