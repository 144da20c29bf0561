"""Small UDP packets at a given rate, and how many of them arrive. Two programs: one sends, one counts.

udp_load.py send ADDRESS PORT PACKETS_PER_SECOND SECONDS    prints how many it sent, and in what time
udp_load.py count PORT                                       prints "ready", then how many came
"""

import json
import socket
import sys
import time

PAYLOAD = bytes(64)
BURST_S = 0.0005  # sleeping is as exact as 60 us; busy waiting would take a core from the tunnel
SILENCE_S = 0.3  # after which nothing more is under way
SO_RCVBUFFORCE = 33  # not in Python's socket module
BUFFER_BYTES = 32 << 20  # so that only the tunnel loses packets, and not the counting program


def send(address: str, port: int, packets_per_s: float, seconds: float) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((address, port))
        sent, began = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            due = int(elapsed * packets_per_s) + 1
            for _ in range(min(due - sent, int(packets_per_s * BURST_S * 4) + 1)):
                sender.send(PAYLOAD)
                sent += 1
            time.sleep(max(0.0, sent / packets_per_s - (time.perf_counter() - began), BURST_S / 4))
    print(json.dumps({"sent": sent, "seconds": elapsed}))


def count(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        receiver.bind(("", port))
        print("ready", flush=True)
        received, buffer = 0, bytearray(2048)
        receiver.settimeout(10.0)
        try:
            while True:
                receiver.recv_into(buffer)
                received += 1
                if received == 1:
                    receiver.settimeout(SILENCE_S)
        except TimeoutError:
            print(json.dumps({"received": received}))


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
    else:
        count(int(sys.argv[2]))
