"""An engine with one peer, as a process: `engine_program.py PRIVATE_KEY PORT PEER PSK ADDRESS PEER_PORT`, keys in hex.

Writes a line when the handshake is through. SIGTERM: send the control datagrams of the program and end; the engine's
drops are then the last line, in JSON.
"""

import json
import signal
import sys

from tests.e2e.engine_lab import FAR, NEAR, events_until

from shadowmesh._engine import Engine, PeerHandshake

READY = "ready"
# The first goes in a message of its own, as it is shorter, and the others in one that the kernel segments.
CONTROL = [b"\x44" * 100, *(bytes([0x44, number]) * 200 for number in range(5))]


def main(private_key: str, port: str, peer: str, psk: str, address: str, peer_port: str) -> None:
    ending = {signal.SIGTERM}
    # Before the engine has its threads, which inherit it.
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    key, path = bytes.fromhex(peer), (address, int(peer_port))
    engine = Engine(private_key=bytes.fromhex(private_key), port=int(port), tun="sm%d", addresses=NEAR.interface)
    engine.add_peer(key, bytes.fromhex(psk), path, FAR.prefixes, initiate=True)
    events_until(engine, PeerHandshake)
    write(READY)
    signal.sigwait(ending)
    engine.send(CONTROL, path)
    engine.stop()
    write(json.dumps(engine.counters().drops))


def write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
