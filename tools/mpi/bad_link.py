"""A bad link between two network devices, for kernels without netem: each frame waits, and some are lost.

  python3 bad_link.py DEVICE DEVICE DELAY_MS LOSS      as root; needs /dev/net/tun

Makes both devices (Ethernet, so that they may be moved to a network namespace each), says "ready", and carries frames
from one to the other until SIGTERM. Then it says how many were carried and how many were lost.
"""

import collections
import fcntl
import os
import random
import select
import signal
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME = 65536


def device(name: str) -> int:
    opened = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(opened, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return opened


def carry(one: int, other: int, delay: float, loss: float, counts: collections.Counter) -> None:
    chance = random.Random(0)
    # All frames wait equally long, so the first in is the first out.
    waiting: collections.deque[tuple[float, int, bytes]] = collections.deque()
    while True:
        left = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for readable in select.select([one, other], [], [], left)[0]:
            frame = os.read(readable, FRAME)
            if chance.random() < loss:
                counts["lost"] += 1
            else:
                waiting.append((time.monotonic() + delay, other if readable == one else one, frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, to, frame = waiting.popleft()
            try:
                os.write(to, frame)
                counts["carried"] += 1
            except OSError:  # The device is not up yet, or no more.
                counts["lost"] += 1


def main() -> None:
    names, delay, loss = sys.argv[1:3], float(sys.argv[3]) / 1000, float(sys.argv[4])
    counts: collections.Counter = collections.Counter()
    one, other = (device(name) for name in names)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    print("ready", flush=True)
    try:
        carry(one, other, delay, loss, counts)
    finally:
        print(f"carried {counts['carried']} lost {counts['lost']}", flush=True)


if __name__ == "__main__":
    main()
