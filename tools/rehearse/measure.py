"""Measures the app's processes on the machine, and what the measurements mean."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .machine import Machine

SAMPLER = Path(__file__).with_name('sampler.py')
STEADY = 0.9  # correlation of memory with the number of requests
LEAST = 2.0  # kB a request
WARM_UP = 1 / 3  # of the requests, in which caches fill and memory is fetched for the first time


@dataclass(frozen=True)
class Sample:
    """The app's processes at one moment; the fields from `pss` on are those of sampler.py.

    Attributes:
        at: the time, by time.monotonic().
        phase: of the rehearsal.
        requests: that had been answered by then.
    """

    at: float
    phase: str
    requests: int
    pss: int
    cpu: float
    processes: int
    masters: list
    workers: list
    ready: list


class Meter:
    """Samples the app's processes over ssh until stop()."""

    def __init__(self, machine: Machine, account: str, run: str, load):
        self.samples: list[Sample] = []
        self.load = load
        command = machine.ssh('sudo', '-u', account, 'python3', '-u', '-', run)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.process.stdin.write(SAMPLER.read_text())
        self.process.stdin.close()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.samples.append(Sample(time.monotonic(), self.load.phase, len(self.load.answers), **json.loads(line)))

    def stop(self) -> None:
        """Ends the samples."""
        self.process.terminate()
        self.process.wait()
        self.thread.join(5)


@dataclass(frozen=True)
class Growth:
    """How memory grew with requests: kB a request, the correlation, MB at both ends, and the requests between them."""

    slope: float
    correlation: float
    first: float
    last: float
    requests: int

    @property
    def is_leak(self) -> bool:
        """See docs/rehearse.md for the reasons of the rule."""
        return self.slope >= LEAST and self.correlation >= STEADY


def growth(points: list[tuple[int, int]]) -> Growth | None:
    """The line through memory (kB) by requests, by least squares, without the warm-up; None if there are too few points.

    Args:
        points: number of requests and kB of each sample.
    """
    if not points:
        return None
    start = points[0][0] + (points[-1][0] - points[0][0]) * WARM_UP
    kept = [point for point in points if point[0] >= start]
    if len(kept) < 6 or kept[-1][0] - kept[0][0] < 50:
        return None
    count = len(kept)
    mean_x, mean_y = (sum(point[axis] for point in kept) / count for axis in (0, 1))
    xx = sum((x - mean_x) ** 2 for x, _ in kept)
    yy = sum((y - mean_y) ** 2 for _, y in kept)
    xy = sum((x - mean_x) * (y - mean_y) for x, y in kept)
    correlation = xy / (xx * yy) ** 0.5 if yy else 0.0
    return Growth(xy / xx, correlation, kept[0][1] / 1024, kept[-1][1] / 1024, kept[-1][0] - kept[0][0])


def ended_workers(samples: list[Sample]) -> int:
    """How many workers gunicorn has replaced while its masters stayed the same."""
    ended = 0
    for before, after in itertools.pairwise(samples):
        if before.masters == after.masters:
            ended += len({tuple(worker) for worker in before.workers} - {tuple(worker) for worker in after.workers})
    return ended


def start_time(samples: list[Sample]) -> float | None:
    """Seconds that the app's start took, from gunicorn's start until the last of its first workers had imported the app."""
    first = next((sample for sample in samples if len(sample.masters) == 1 and len(sample.ready) == len(sample.workers) > 0), None)
    return sorted(first.ready)[len(first.ready) // 2] if first else None


def cpu_used(samples: list[Sample]) -> float:
    """Seconds of CPU; processes that ended in between count up to the last sample before."""
    return sum(max(0.0, after.cpu - before.cpu) for before, after in itertools.pairwise(samples))
