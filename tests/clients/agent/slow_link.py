"""Run as root in a network namespace of its own: a connection whose packets take `DELAY` each way, and what is seen.

A TUN device leads to this process, which swaps both addresses of each packet (no checksum changes by that) and gives it
back after the delay: whoever calls 10.9.0.2 reaches a listener on 10.9.0.1.
"""

import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque

from lekiwi_agent.kernel import Netlink, Ss

DELAY = 0.03
_TUNSETIFF = 0x400454CA
_IFF_TUN_WITHOUT_HEADER = 0x1001


def slow_device() -> int:
    """A TUN device 10.9.0.1/24, as its descriptor."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"slow0", _IFF_TUN_WITHOUT_HEADER))
    for command in ("addr add 10.9.0.1/24 dev slow0", "link set slow0 up"):
        subprocess.run(["ip", *command.split()], check=True)
    return device


def give_back_late(device: int) -> None:
    """Every IPv4 packet, with its addresses swapped, after `DELAY`."""
    waiting: deque[tuple[float, bytes]] = deque()
    while True:
        left = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([device], [], [], left)[0]:
            packet = os.read(device, 65_536)
            if packet[0] >> 4 == 4:
                swapped = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
                waiting.append((time.monotonic() + DELAY, swapped))
        while waiting and waiting[0][0] <= time.monotonic():
            os.write(device, waiting.popleft()[1])


def main() -> None:
    """Print what the kernel tells of the host's end, and when the last command was really sent."""
    threading.Thread(target=give_back_late, args=(slow_device(),), daemon=True).start()
    with socket.create_server(("10.9.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("10.9.0.2", port), timeout=10) as operator, server.accept()[0] as host:
            for _ in range(8):
                operator.sendall(b"c" * 300)
                sent_at = time.clock_gettime(time.CLOCK_BOOTTIME)
                host.recv(300, socket.MSG_WAITALL)
                host.sendall(b"f" * 500)
                operator.recv(500, socket.MSG_WAITALL)
            ways = {}
            for way in (Netlink(), Ss()):
                (seen,) = way.read(frozenset({port})).connections
                at = time.clock_gettime(time.CLOCK_BOOTTIME)
                ways[way.name] = {"rtt_ms": seen.rtt_ms, "travelled_s": at - seen.received_age_ms / 1000 - sent_at}
    json.dump({"remote": seen.remote, "ways": ways}, sys.stdout)


if __name__ == "__main__":
    main()
