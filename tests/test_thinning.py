"""One label in k: which are kept, what they cost in memory, and that nothing else is lost."""

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_il.datatypes import Episode
from drive_il.experiments.drives import Keeper, read
from drive_il.fit import labelled_frames
from drive_il.rounds import before_failing
from drive_il.thinning import first_labels, lightened, thin, thinned
from tests import demonstrations, ring_drives
from tests.drives import specs_on


@cache
def drives() -> list[Episode]:
    specs = specs_on(demonstrations.ROUTES, 5, 40)
    return demonstrations.demonstrations(specs)


def test_every_kth_label_is_kept_and_no_step_of_the_grid_is_preferred() -> None:
    episodes = thinned(drives(), 5)
    firsts = [int(np.flatnonzero(one.asked)[0]) for one in episodes]
    assert sorted(firsts) == [0, 1, 2, 3, 4]
    for one in episodes:
        assert (np.diff(np.flatnonzero(one.asked)) == 5).all()
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        thinned(drives(), 0)


@given(
    wrong=st.lists(st.booleans(), min_size=41, max_size=41),
    every=st.integers(1, 12),
    n=st.integers(0, 80),
)
def test_five_times_as_many_labels_are_kept_of_what_leads_to_a_failure(
    wrong: list[bool], every: int, n: int
) -> None:
    one = drives()[0]
    off = np.where(wrong, one.progress["lane_width"], 0.0)
    progress = one.progress.copy()
    progress["lateral_error"] = off  # the centre is out of its lane
    one = replace(one, progress=progress)
    begins = [s for s in range(1, 41) if wrong[s] and not wrong[s - 1]]
    near = np.array([any(s - n <= t < s for s in begins) for t in range(40)])
    assert np.array_equal(before_failing(one, n), near)
    few, more = thin(one, every, 3).asked, thin(one, every, 3, near).asked
    assert not (few & ~more).any()
    assert np.array_equal(few[~near], more[~near])
    often = max(every // 5, 1)
    assert more.sum() >= len(np.flatnonzero(near)) // often - len(begins)


def test_the_first_labels_are_taken_and_no_further_episode_is_read() -> None:
    data = thinned(ring_drives.demonstrations(), 5)
    total = sum(one.labels for one in data)
    assert total == 32
    found = first_labels(data, 10)
    assert [one.labels for one in found] == [8, 2]
    assert (found[0].asked == data[0].asked).all()
    one_by_one = iter(data)
    assert [one.labels for one in first_labels(one_by_one, 8)] == [8]
    assert len(list(one_by_one)) == len(data) - 2  # the rest was not read


@pytest.mark.parametrize("every", [1, 3, 10])
def test_what_is_learnt_from_is_the_same_without_the_pictures_in_between(every: int) -> None:
    whole = drives()
    kept = thinned(whole, every)
    asked = [replace(a, asked=b.asked) for a, b in zip(whole, kept, strict=True)]
    for name, value in labelled_frames(asked).items():
        assert value.tobytes() == labelled_frames(kept)[name].tobytes(), name
    for one, full in zip(kept, whole, strict=True):
        seen = full.observations["rgb"].copy()
        if every > 1:
            seen[~np.append(one.asked, False)] = 0
        assert np.array_equal(one.observations["rgb"], seen)
        assert np.array_equal(one.observations["speed"], full.observations["speed"])


def test_episodes_come_back_from_disk_as_they_were_kept(tmp_path: Path) -> None:
    keep = Keeper(tmp_path)
    for one in drives():
        keep(thin(one, 4, keep.n_kept))
    for a, b in zip(read(tmp_path), thinned(drives(), 4), strict=True):
        assert a.observations["rgb"].tobytes() == b.observations["rgb"].tobytes()
        assert a.asked.tobytes() == b.asked.tobytes()


CODE = """
from pathlib import Path
import numpy as np
from drive_il.thinning import _only

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

pictures = np.full((4000, 64, 96, 3), 7, np.uint8)
kept = np.arange(4000) % 10 == 3
before = resident()
found = _only(pictures, kept)
assert found[kept].min() == 7
print((resident() - before) / found.nbytes)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells what is resident")
def test_pictures_that_are_given_back_take_no_memory() -> None:
    run = [sys.executable, "-c", CODE]
    found = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert float(found) < 0.3  # a tenth, their pages' other halves, and a copy under way


def test_a_drive_whose_states_are_all_labelled_stays_as_it_is() -> None:
    one = drives()[0]
    assert lightened(one) is one
