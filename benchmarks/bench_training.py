"""How many images per second does the camera network learn from, forward and backward?

The default network on 96x64 RGB, batches of 64, Adam; on as many threads as a fit uses.
The reference in the same run is one matrix product with as many multiplications, which is
what the machine could do at best.
"""

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from drive_il.augment import Draw, PhotometricConfig, photometric
from drive_il.fit import ArrayBatches, FitConfig, fit, reproducible
from drive_il.networks import DrivingPolicy, NetworkConfig, driving_loss, driving_network
from drive_il.sensor_specs import CameraSpec, ObservationSpec

N_FRAMES = 1280
RNG = np.random.default_rng(0)
FRAMES = {
    "rgb": RNG.integers(0, 256, (N_FRAMES, 64, 96, 3), dtype=np.uint8),
    "speed": RNG.uniform(0, 15, N_FRAMES).astype(np.float32),
    "command": RNG.integers(1, 7, N_FRAMES),
    "target": RNG.normal(size=(N_FRAMES, 2)).astype(np.float32),
}


def multiplications(config: NetworkConfig, camera: CameraSpec) -> int:
    """Per image and forward pass, in the convolutions and the trunk."""
    height, width, n_in, kernel, total = camera.height, camera.width, 3, config.first_kernel, 0
    height -= int(config.crop_top * height)
    for n_out in config.channels:
        height, width = -(-height // 2), -(-width // 2)
        total += height * width * n_out * n_in * kernel**2
        n_in, kernel = n_out, 3
    return total + height * width * n_in * config.hidden


@pytest.mark.parametrize("threads", [1, 2])
def test_fit(benchmark: BenchmarkFixture, threads: int) -> None:
    config = FitConfig(n_epochs=1, n_threads=threads, device="cpu")
    network = driving_network(NetworkConfig(), ObservationSpec(), 0)
    batches = ArrayBatches(FRAMES, config.batch_size)
    benchmark.pedantic(
        lambda: fit(network, batches, driving_loss(5.0), config, seed=0), rounds=4, warmup_rounds=1
    )
    benchmark.extra_info["images_per_second"] = N_FRAMES / benchmark.stats.stats.min


@pytest.mark.parametrize("threads", [1, 2])
def test_reference_matrix_product(benchmark: BenchmarkFixture, threads: int) -> None:
    # Forward and backward are three products of the forward size.
    n_multiplications = 3 * N_FRAMES * multiplications(NetworkConfig(), CameraSpec())
    size = 1024
    left, right = torch.randn(size, size), torch.randn(size, size)
    repeats = max(1, n_multiplications // size**3)

    def multiply() -> None:
        with reproducible(threads):
            for _ in range(repeats):
                torch.mm(left, right)

    benchmark.pedantic(multiply, rounds=4, warmup_rounds=1)
    benchmark.extra_info["images_per_second"] = N_FRAMES / benchmark.stats.stats.min


def test_photometric(benchmark: BenchmarkFixture) -> None:
    draw = Draw(0, 0, np.arange(N_FRAMES))
    benchmark(lambda: photometric(FRAMES["rgb"], PhotometricConfig(), draw))
    benchmark.extra_info["images_per_second"] = N_FRAMES / benchmark.stats.stats.min


@pytest.mark.parametrize("n_rows", [1, 16, 64])
def test_act(benchmark: BenchmarkFixture, n_rows: int) -> None:
    config = NetworkConfig()
    policy = DrivingPolicy(driving_network(config, ObservationSpec(), 0), config, ObservationSpec())
    seen = {name: value[:n_rows] for name, value in FRAMES.items()}
    benchmark(lambda: policy.act(seen, {}))
    benchmark.extra_info["images_per_second"] = n_rows / benchmark.stats.stats.min
