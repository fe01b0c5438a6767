"""`nystromformer serve` as a child process, and what the kernel says of it."""

import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

FIXTURES = Path(__file__).resolve().parents[2] / "crates/pipelines/tests/fixtures"
ADDRESS = re.compile(r"serving on http://([^ /:]+):(\d+)")
START_S = 120.0


class Served:
    """A server on a free port of this machine; ended with SIGTERM when the block is left."""

    def __init__(self, program: Path, models: Sequence[str], options: Sequence[str] = ()) -> None:
        self._log = tempfile.TemporaryFile("w+")
        named = [part for model in models for part in ("--model", model)]
        command = [str(program), "serve", *named, "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=self._log, stdout=subprocess.DEVNULL)
        end = time.monotonic() + START_S
        while not (found := ADDRESS.search(self.said())):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the server did not start: {self.said()}")
            time.sleep(0.02)
        self.address = (found[1], int(found[2]))

    def said(self) -> str:
        """What it wrote to stderr."""
        self._log.seek(0)
        return self._log.read()

    def memory_mb(self, what: str = "VmRSS") -> float:
        """Its memory now (`VmRSS`) or at most (`VmHWM`), in units of 10^6 bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{what}:\s*(\d+) kB", status, re.MULTILINE)
        if not found:
            raise SystemExit(f"the server has ended with {self.process.poll()}: {self.said()[-2000:]}")
        return int(found[1]) * 1024 / 1e6

    def threads(self) -> int:
        """How many threads it has."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def open_files(self) -> int:
        """How many descriptors it holds, connections among them."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def cpu_s(self) -> float:
        """Seconds of processor time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def stop(self) -> int:
        """Asks it to end, and gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
