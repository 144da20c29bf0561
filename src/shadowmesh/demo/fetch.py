"""Fetches a URL over HTTP and hashes what comes: a program of its own, run on alice's host.

Prints a JSON line ten times a second, `{"received": bytes}`, and a last one with the SHA-256, the seconds that it took
and the longest time that nothing came.
"""

import hashlib
import json
import sys
import time
import urllib.request

_READ_BYTES = 1 << 18
_REPORT_INTERVAL_S = 0.1
_SILENCE_LIMIT_S = 20


def fetch(url: str) -> None:
    digest = hashlib.sha256()
    received = 0
    longest_stall = 0.0
    with urllib.request.urlopen(url, timeout=_SILENCE_LIMIT_S) as answer:  # noqa: S310 - the demo's own http URL
        began = last = reported = time.monotonic()
        while piece := answer.read1(_READ_BYTES):
            now = time.monotonic()
            longest_stall = max(longest_stall, now - last)
            last = now
            digest.update(piece)
            received += len(piece)
            if now - reported >= _REPORT_INTERVAL_S:
                reported = now
                _report(received=received)
    _report(received=received, sha256=digest.hexdigest(), took_s=last - began, longest_stall_s=longest_stall)


def _report(**figures: float | str) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    fetch(sys.argv[1])
