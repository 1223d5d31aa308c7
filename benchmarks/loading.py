"""Does a data set that does not fit into memory train as fast as one that does?

    uv run python benchmarks/loading.py --frames 1000000 --folder /tmp/loading

Records a few drives with the 96x64 camera, copies their files until there are enough frames,
then trains the default camera network from two sources in turn, in one process: all frames of
some files in memory, and all files streamed. Prints frames per second of both, by the clock
and by the processor's time, their ratios round by round, and the largest resident set while
streaming. The processor's time is what a busy machine does not falsify: where training keeps
all cores busy the two ratios are the same, since what reads takes its time from what learns.
`--loading-only` leaves the network out: what the loaders can do at best, over one whole pass.
"""

from __future__ import annotations

import json
import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
import tyro

from drive_il.cli.data import record
from drive_il.dataset import Dataset
from drive_il.dataset_batches import FrameBatches
from drive_il.fit import FitConfig, choose_device, reproducible, to_tensors
from drive_il.network_inputs import driving_frames, driving_inputs
from drive_il.networks import NetworkConfig, driving_loss, driving_network
from drive_il.sensor_specs import ObservationSpec

_SEEDS = 16  # drives that are really recorded
_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Config:
    """What is compared."""

    folder: Path
    """where the drives are kept; found there, they are not made again"""
    frames: int = 1_000_000
    """frames of the streamed set"""
    budget: int = 1024
    """memory budget of the streaming loader [MiB]"""
    in_memory: int = 40_000
    """frames of the set that is kept in memory"""
    rounds: int = 3
    """how often each source is timed, in turn"""
    n_batches: int = 400
    """batches of 64 per timing"""
    device: str = "auto"
    """auto, cpu or cuda"""
    loading_only: bool = False
    """no network: one pass over everything, and as many batches from memory"""


class Resident:
    """Samples the resident set of this process; to be used as a context."""

    def __init__(self) -> None:
        self.peak = self.peak_anonymous = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            status = dict(
                line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
            )
            self.peak = max(self.peak, int(status["VmRSS"].split()[0]) >> 10)
            anonymous = int(status["RssAnon"].split()[0]) >> 10
            self.peak_anonymous = max(self.peak_anonymous, anonymous)

    def __enter__(self) -> Resident:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def make(config: Config) -> list[Path]:
    """Returns the files of at least `frames` frames, recorded and copied where missing."""
    source = config.folder / "recorded"
    if len(list(source.glob("*.parquet"))) < _SEEDS:
        record("alder", source, episodes=_SEEDS, max_steps=1000, sensors="camera")
    originals = Dataset(source).paths
    per_round = Dataset(source).batches([]).n_frames
    paths = list[Path]()
    for copy in range(-(-config.frames // per_round)):
        for path in originals:
            target = config.folder / "copies" / f"{copy:04d}-{path.name}"
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            paths.append(target)
    return paths


def endless(batches: FrameBatches) -> Iterator[dict]:
    """Yields pass after pass."""
    epoch = 0
    while True:
        yield from batches.epoch(epoch)
        epoch += 1


def main(config: Config) -> None:
    """Runs the comparison and prints one JSON object."""
    paths = make(config)
    spec = ObservationSpec()

    def source(files: list[Path], budget: int) -> FrameBatches:
        return FrameBatches(
            files,
            driving_inputs(spec),
            memory_budget=budget,
            transform=lambda batch, epoch, index: driving_frames(batch, spec),
            states=False,
        )

    begin = time.perf_counter()
    streamed = source(paths, config.budget * _MEGABYTE)
    opened = time.perf_counter() - begin
    share = config.in_memory / streamed.n_frames
    few = paths[: max(1, round(share * len(paths)))]
    kept = source(few, 64 << 30)
    result: dict[str, object] = {
        "frames": streamed.n_frames,
        "files": len(paths),
        "bytes_on_disk": sum(path.stat().st_size for path in paths),
        "open_s": round(opened, 1),
        "frames_in_memory": kept.n_frames,
    }
    list(islice(kept.epoch(0), 1))  # reads it
    timing = _loading(streamed, kept) if config.loading_only else _training(config, streamed, kept)
    print(json.dumps(result | timing, indent=1))


def _loading(streamed: FrameBatches, kept: FrameBatches) -> dict[str, object]:
    def speed(batches: Iterator[dict]) -> float:
        begin, n = time.perf_counter(), 0
        for batch in batches:
            n += len(batch["target"])
        return n / (time.perf_counter() - begin)

    with Resident() as resident:
        streaming = speed(streamed.epoch(0))
    memory = speed(islice(endless(kept), 20_000))
    return {
        "streamed_per_s": round(streaming),
        "in_memory_per_s": round(memory),
        "resident_MiB": resident.peak,
        "resident_anonymous_MiB": resident.peak_anonymous,
    }


def _training(config: Config, streamed: FrameBatches, kept: FrameBatches) -> dict[str, object]:
    device = choose_device(config.device)
    fitting = FitConfig()
    model = driving_network(NetworkConfig(), ObservationSpec(), 0).to(device).train()
    optimizer = torch.optim.Adam(model.parameters())
    loss = driving_loss(5.0)

    def step(batch: dict) -> int:
        value = loss(model, to_tensors(batch, device))
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        return len(batch["target"])

    def speeds(batches: Iterator[dict]) -> tuple[float, float]:
        """Returns frames per second, and per second of processor time."""
        begin, used = time.perf_counter(), time.process_time()
        n = sum(step(batch) for batch in islice(batches, config.n_batches))
        if device.type == "cuda":
            torch.cuda.synchronize()
        return n / (time.perf_counter() - begin), n / (time.process_time() - used)

    sources = {"in_memory": endless(kept), "streamed": endless(streamed)}
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in sources}
    with reproducible(fitting.n_threads), Resident() as resident:
        for source in sources.values():  # the first window is read, the network warmed up
            for batch in islice(source, 20):
                step(batch)
        for _ in range(config.rounds):
            for name, source in sources.items():
                measured[name].append(speeds(source))
    result: dict[str, object] = {"device": str(device), "threads": fitting.n_threads}
    for k, unit in enumerate(("", "processor_")):
        pairs = zip(measured["streamed"], measured["in_memory"], strict=True)
        ratios = [s[k] / m[k] for s, m in pairs]
        result |= {
            f"per_{unit}s": {n: [round(one[k]) for one in v] for n, v in measured.items()},
            f"{unit}ratios": [round(ratio, 3) for ratio in ratios],
            f"{unit}median_ratio": round(statistics.median(ratios), 3),
        }
    return result | {
        "resident_MiB": resident.peak,
        "resident_anonymous_MiB": resident.peak_anonymous,
    }


if __name__ == "__main__":
    main(tyro.cli(Config))
