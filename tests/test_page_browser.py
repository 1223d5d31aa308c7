"""The site in a real browser, headless: sorting, opening an entry, playing a drive."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from leaderboard_runs import as_entry

from drive_il import submission
from drive_il.entry import Entry
from drive_il.evaluation import page
from drive_il.evaluation.results_file import route_results
from drive_il.maps import library

selenium = pytest.importorskip("selenium", reason="needs selenium (uv sync installs it)")

from selenium import webdriver  # noqa: E402 - after the skip
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

FLAGS = (
    *("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
    *("disable-background-networking", "disable-component-update", "disable-sync"),
    *("window-size=1300,1000", "disable-dev-shm-usage"),
)
NAMES = ("Bold", "Able", "Calm")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium with a profile of its own."""
    paths = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in paths:
        pytest.skip("needs Debian's chromium and chromium-driver on the path")
    options = webdriver.ChromeOptions()
    options.binary_location = str(paths[0])
    for flag in (*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(paths[1])))
    yield driver
    complaints = driver.get_log("browser")
    driver.quit()
    assert not [one for one in complaints if one["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def index(rough: tuple[Entry, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a site of three entries, whose driving scores are 30, 20 and 10."""
    entry, results = rough
    logs = submission.replays(results, route_results(results), Path(entry.record))
    entries = []
    for k, name in enumerate(NAMES):
        document = json.loads(json.dumps(results))
        document["drive_il"]["scores"]["mean"]["score_composed"] = 30.0 - 10.0 * k
        document["drive_il"]["plan"]["options"]["privileged"] = "false"
        if name == "Able":
            del document["drive_il"]["compounding"]
        entries.append(as_entry(document, name, replays=tuple(logs)))
    return page.write(entries, tmp_path_factory.mktemp("site"), library.load).as_uri()


@pytest.fixture
def opened(browser: Any, index: str) -> Any:
    """The page of an entry, its first replay loaded."""
    browser.get(index)
    browser.find_element(By.LINK_TEXT, "Bold").click()
    WebDriverWait(browser, 10).until(lambda b: "of" in clock(b))
    return browser


def column(browser: Any, index: int) -> list[str]:
    rows = browser.find_elements(By.CSS_SELECTOR, "table.sortable tbody tr")
    return [row.find_elements(By.XPATH, "./*")[index].text.split("\n")[0] for row in rows]


def head(browser: Any, label: str) -> Any:
    heads = browser.find_elements(By.CSS_SELECTOR, "table.sortable thead th")
    return next(one for one in heads if one.text.split("\n")[0].startswith(label))


def clock(browser: Any) -> str:
    return str(browser.find_element(By.ID, "clock").text)


def time(browser: Any) -> float:
    return float(clock(browser).split(" ")[0] or "nan")


def pixels(browser: Any) -> str:
    return str(browser.execute_script("return document.getElementById('view').toDataURL()"))


def press(browser: Any, *keys: str) -> None:
    webdriver.ActionChains(browser).send_keys(*keys).perform()


def test_a_click_on_a_head_sorts_and_another_turns_it_round(browser: Any, index: str) -> None:
    browser.get(index)
    assert column(browser, 1) == ["Bold", "Able", "Calm"]
    assert column(browser, 0) == ["1", "2", "3"]
    head(browser, "entry").find_element(By.TAG_NAME, "button").click()
    assert column(browser, 1) == ["Able", "Bold", "Calm"]
    assert head(browser, "entry").get_attribute("aria-sort") == "ascending"
    head(browser, "entry").find_element(By.TAG_NAME, "button").click()
    assert column(browser, 1) == ["Calm", "Bold", "Able"]
    assert head(browser, "rank").get_attribute("aria-sort") is None
    head(browser, "driving").find_element(By.TAG_NAME, "button").click()
    assert column(browser, 2) == ["30.0", "20.0", "10.0"]  # high is good: a first click shows it


def test_what_is_lacking_stays_last_either_way(browser: Any, index: str) -> None:
    browser.get(index)
    for _ in range(2):
        head(browser, "eps own").find_element(By.TAG_NAME, "button").click()
        assert column(browser, 1)[-1] == "Able"


def test_an_entry_opens_and_leads_back(opened: Any) -> None:
    assert opened.title == "Bold: drive_il leaderboard"
    assert opened.find_element(By.TAG_NAME, "h1").text.startswith("Bold")
    opened.find_element(By.PARTIAL_LINK_TEXT, "leaderboard").click()
    assert opened.title == "drive_il leaderboard"


def test_space_plays_and_pauses_and_what_is_shown_moves(opened: Any) -> None:
    before = pixels(opened)
    assert time(opened) == 0.0
    press(opened, Keys.SPACE)
    WebDriverWait(opened, 10).until(lambda b: time(b) > 1.0)
    press(opened, Keys.SPACE)
    stopped = time(opened)
    assert pixels(opened) != before
    assert opened.find_element(By.ID, "play").text == "Play"
    opened.execute_async_script("setTimeout(arguments[0], 300)")
    assert time(opened) == stopped


def test_arrows_go_a_second(opened: Any) -> None:
    press(opened, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert time(opened) == pytest.approx(3.0)
    press(opened, Keys.ARROW_LEFT)
    assert time(opened) == pytest.approx(2.0)


def test_the_ego_is_in_the_middle(opened: Any) -> None:
    """In the middle is the ego's blue, in the corner something else."""
    colors = opened.execute_script(
        """const canvas = document.getElementById("view"), pen = canvas.getContext("2d");
        const at = (x, y) => [...pen.getImageData(x, y, 1, 1).data].slice(0, 3);
        return [at(canvas.width / 2, canvas.height / 2), at(2, 2)];"""
    )
    assert colors[0] == [11, 110, 253]
    assert colors[1] != colors[0]


def test_a_click_on_an_infraction_plays_it_from_a_moment_before(opened: Any) -> None:
    button = opened.find_element(By.CSS_SELECTOR, "#events button")
    when = float(button.text.split(" s ")[0].split()[-1])
    button.click()
    assert opened.find_element(By.ID, "play").text == "Pause"
    assert max(round(when - 3.0, 1), 0.0) <= time(opened) < when + 3.0
    ticks = opened.find_elements(By.CSS_SELECTOR, "#ticks button")
    assert len(ticks) == len(opened.find_elements(By.CSS_SELECTOR, "#events button"))


def test_whoever_is_there_in_the_last_frame_is_there_at_the_end(opened: Any) -> None:
    there, kept = opened.execute_script(
        """show(state.log.duration);
        const others = [...state.log.vehicles, ...state.log.walkers, state.log.ego];
        const last = others.filter(one => one.first + one.n === state.log.n_frames);
        return [others.filter(one => at(one, state.time)).length, last.length];"""
    )
    assert there == kept > 1


def test_an_infraction_on_the_map_plays_it(opened: Any) -> None:
    spots = opened.find_elements(By.CSS_SELECTOR, ".map a[data-time]")
    last = spots[-1]
    wanted, replay = float(last.get_attribute("data-time")), last.get_attribute("data-replay")
    opened.execute_script("arguments[0].dispatchEvent(new MouseEvent('click'))", last)
    WebDriverWait(opened, 10).until(lambda b: time(b) >= max(wanted - 3.05, 0.0))
    (chosen,) = opened.find_elements(By.CSS_SELECTOR, ".drives [aria-pressed=true]")
    assert chosen.get_attribute("data-replay") == replay


def test_the_page_follows_a_dark_system(opened: Any) -> None:
    def paper() -> str:
        script = "return getComputedStyle(document.body).backgroundColor"
        return str(opened.execute_script(script))

    light = (paper(), pixels(opened))
    feature = {"name": "prefers-color-scheme", "value": "dark"}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    opened.execute_async_script("setTimeout(arguments[0], 200)")
    dark = (paper(), pixels(opened))
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] == "rgb(20, 24, 27)"
    assert light[1] != dark[1]
