"""The leaderboard's site: what stands in it, and that it needs nothing else."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from leaderboard_runs import as_entry

from drive_il import learners, submission
from drive_il.cli import main
from drive_il.cli.baselines import _MODELS
from drive_il.entry import Entry
from drive_il.evaluation import page, page_tables
from drive_il.evaluation.entry_file import EntryFile, load_all, write
from drive_il.evaluation.infractions import Infraction, Kind
from drive_il.evaluation.protocol import LB1, LB20, Protocol, protocol_of
from drive_il.evaluation.results_file import Plan, ResultsFile, route_results
from drive_il.maps import library

LEADERBOARD = Path(__file__).parents[1] / "leaderboard"
Run = tuple[Entry, dict[str, Any]]


def judged_by(run: Run, protocol: Protocol, name: str, **options: str) -> EntryFile:
    """The same drives as an entry of another protocol."""
    plan = Plan.from_facts(run[1]["drive_il"]["plan"])
    changed = replace(
        plan, protocol=protocol, options=tuple((dict(plan.options) | options).items())
    )
    document = ResultsFile.of(Path(), changed, run[1]).document("Finished")
    return as_entry(json.loads(json.dumps(document)), name)


@pytest.fixture(scope="module")
def entry(rough: Run) -> EntryFile:
    """An entry with replays."""
    logs = submission.replays(rough[1], route_results(rough[1]), Path(rough[0].record))
    return as_entry(rough[1], replays=tuple(logs))


@pytest.fixture(scope="module")
def site(entry: EntryFile, rough: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two entries of one suite, one of another protocol."""
    other = judged_by(rough, protocol_of("nocrash"), "Other rules")
    bad = replace(entry, name="<script>alert(1)</script>", replays=())
    out = tmp_path_factory.mktemp("site")
    page.write([entry, bad, other], out, library.load)
    return out


def test_only_what_is_comparable_stands_in_one_table(rough: Run) -> None:
    same = [judged_by(rough, LB20, "A"), judged_by(rough, LB20, "B")]
    others = [
        judged_by(rough, LB1, "another protocol"),
        judged_by(rough, LB20, "another crowd", traffic="none"),
        judged_by(rough, LB20, "another suite", routes="x", routes_sha256="0"),
        judged_by(rough, LB20, "another version of the suite", routes_sha256="1"),
        judged_by(rough, LB20, "another world", world="carla"),
    ]
    same.append(judged_by(rough, LB20, "C", world="embedded"))  # what those mean that say nothing
    tables = page_tables.rankings([*same, *others])
    names = sorted(sorted(row.entry.name for row in table.rows) for table in tables)
    assert names == sorted([["A", "B", "C"], *([one.name] for one in others)])


def test_a_world_that_is_not_embedded_is_named(rough: Run, tmp_path: Path) -> None:
    """One agent in both worlds is two entries, in two tables that say where."""
    both = [judged_by(rough, LB20, "A"), judged_by(rough, LB20, "A", world="carla")]
    index = page.write(both, tmp_path, library.load).read_text()
    badge = '<span class="badge">lb2.0</span>'
    assert re.findall(f"{badge}(.*)</h2>", index) == ["", ' <span class="badge">world carla</span>']
    heads = re.findall("^###.*", page_tables.markdown(page_tables.rankings(both)), re.MULTILINE)
    assert heads == ["### alder_test, `lb2.0`", "### alder_test, `lb2.0`, world `carla`"]
    there = (tmp_path / "entries" / "a-alder-test-lb2-0-carla.html").read_text()
    assert "in the world <b>carla</b>" in there
    assert "<b>carla</b>" not in (tmp_path / "entries" / "a-alder-test-lb2-0.html").read_text()


def test_the_page_says_why_an_agent_failed(rough: Run, tmp_path: Path) -> None:
    """Each reason once, with the drives it cost; what it printed is nobody's business."""
    document = json.loads(json.dumps(rough[1]))
    records = document["_checkpoint"]["records"]
    for record in (records[0], records[2]):
        told = {"reason": "KeyError: <'gps'>", "detail": "Traceback, /home/me"}
        record["drive_il"] |= {"failure": told}
    failed = as_entry(document)
    (here,) = page.write([failed], tmp_path, library.load).parent.glob("entries/*.html")
    text = here.read_text()
    reason = "KeyError: &lt;&#39;gps&#39;&gt;"
    assert f"<dt>2 of 3 drives</dt><dd><code>{reason}</code>" in text
    assert ">route 1; 10</span>" in text
    assert text.count(f'<a href="#failures" title="{reason}">') == 2
    assert "/home/me" not in text
    page.write([as_entry(rough[1])], tmp_path, library.load)
    assert "#failures" not in here.read_text()


def test_what_a_suite_or_protocol_lacks_is_a_dash_or_no_column(rough: Run) -> None:
    def cells(protocol: Protocol) -> dict[str, str]:
        (table,) = page_tables.rankings([judged_by(rough, protocol, "A")])
        return {
            column.label: cell.text
            for column, cell in zip(table.columns, table.rows[0].cells, strict=True)
        }

    two = cells(LB20)
    assert two["scenario"] == two["not yielded"] == "–"  # these routes have no scenarios
    assert two["eps"] == "–"  # the errors were not kept for this protocol
    assert "scenario" not in cells(LB1)
    assert "driving efficiency" not in two
    assert "driving efficiency" in cells(protocol_of("bench2drive"))
    assert "success rate" in cells(protocol_of("nocrash"))


def test_a_speed_that_is_only_recorded_is_no_fault(rough: Run, tmp_path: Path) -> None:
    """Bench2Drive notes every part of a route, fast or slow; leaderboard 2 charges slow ones."""
    speed = Infraction(Kind.MIN_SPEED, 1, 0.05, 1.0, 2.0, 0.0, 0, 50.0, "slow")
    drive = replace(route_results(rough[1])[0], infractions=(speed, speed))
    for name, said in (("bench2drive", "none"), ("lb2.1", "2 too slow")):
        assert page_tables.counts(protocol_of(name), [drive]) == said
        one = judged_by(rough, protocol_of(name), name)
        slow = "too slow" in [column.label for column in page_tables.rankings([one])[0].columns]
        assert slow == (name == "lb2.1")
        text = page.write([one], tmp_path / name, library.load).parent
        (here,) = text.glob("entries/*.html")
        assert ('<th scope="row">slower than the traffic' in here.read_text()) == slow


def test_a_share_of_a_vacuous_bound_is_marked(entry: EntryFile) -> None:
    def share(**bounds: Any) -> str:
        document = json.loads(json.dumps(entry.results))
        document["drive_il"]["compounding"]["bounds"] |= bounds
        (table,) = page_tables.rankings([replace(entry, results=document)])
        labels = [column.label for column in table.columns]
        return table.rows[0].cells[labels.index("J / T²eps")].text

    assert share(gap_over_cloning=0.25, cloning_vacuous=True) == "0.250*"
    assert share(gap_over_cloning=0.25, cloning_vacuous=False) == "0.250"
    assert share(gap_over_cloning=None, cloning_vacuous=False) == "–"


def test_the_privileged_are_shown_and_not_ranked(rough: Run) -> None:
    (table,) = page_tables.rankings(
        [
            judged_by(rough, LB20, "A", privileged="false"),
            judged_by(rough, LB20, "B"),
            judged_by(rough, LB20, "C", privileged="false"),
        ]
    )
    assert [(row.rank, row.entry.name) for row in table.rows] == [
        ("1", "A"),
        ("–", "B"),
        ("2", "C"),
    ]


def test_pages_load_nothing_from_elsewhere_and_are_small(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) == 4
    for path in pages:
        text = path.read_text()
        assert len(text) < 1_500_000
        assert not re.search(r"<(script|img|iframe|link)[^>]*\b(src|href)=\"(?!data:)", text)
        assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", text)


def test_names_are_text_not_markup(site: Path) -> None:
    assert "<script>alert" not in "".join(path.read_text() for path in site.rglob("*.html"))


def test_the_page_says_what_the_results_say(site: Path, entry: EntryFile) -> None:
    text = (site / "entries" / "rough-ready-alder-test-lb2-1.html").read_text()
    scores = entry.results["drive_il"]["scores"]["mean"]
    assert f"<b>{scores['score_composed']:.1f}</b>" in text
    assert "Rough &amp; ready" in text
    assert "privileged: sees the truth" in text
    assert 'href="https://example.org/rough"' in text
    assert "every bit matched" in text
    n = sum(len(one.infractions) for one in entry.drives)
    assert text.count('<circle class="spot"') == n > 0
    (logs,) = re.findall(r'id="replays">(.*?)</script>', text)
    assert [one["data"] for one in json.loads(logs)] == [one["data"] for one in entry.replays]


def test_two_entries_of_one_name_are_told(entry: EntryFile, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"entries/rough-ready-alder-test-lb2-1\.html: rename one"):
        page.write([entry, replace(entry, name="rough  READY")], tmp_path, library.load)


def test_readme_gets_the_table_between_its_comments(entry: EntryFile, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- table: made -->\nold\n<!-- end of table -->\nafter\n")
    assert page.update_readme(readme, [entry])
    once = readme.read_text()
    assert once.startswith("before\n<!-- table: made -->\n\n### alder_test, `lb2.1`")
    assert once.endswith("<!-- end of table -->\nafter\n")
    assert "| – | Rough & ready (privileged) |" in once
    assert "old" not in once
    page.update_readme(readme, [entry])
    assert readme.read_text() == once
    assert not page.update_readme(tmp_path / "none.md", [entry])


def test_the_shipped_table_is_that_of_the_shipped_entries(tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    copy.write_text((LEADERBOARD / "README.md").read_text())
    assert page.update_readme(copy, load_all(LEADERBOARD / "entries"))
    assert copy.read_text() == (LEADERBOARD / "README.md").read_text(), "drive-il leaderboard page"


def test_the_baselines_models_are_there_and_small() -> None:
    for name in _MODELS.values():
        folder = LEADERBOARD / "models" / name
        assert learners.load(folder).card["labels"] > 0
        assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000


def test_the_command_writes_site_and_table(
    entry: EntryFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(entry, tmp_path / "entries")
    (tmp_path / "README.md").write_text("<!-- table: x -->\n<!-- end of table -->\n")
    words = ["leaderboard", "page", "--entries", str(tmp_path / "entries")]
    main([*words, "--out", str(tmp_path / "out")])
    assert (tmp_path / "out" / "index.html").is_file()
    assert "1 entries" in capsys.readouterr().out
    assert "Rough & ready" in (tmp_path / "README.md").read_text()


def test_no_entries_make_a_page_that_says_so(tmp_path: Path) -> None:
    assert "no entries yet" in page.write([], tmp_path, library.load).read_text()


def test_parts_of_an_entry_add_up(entry: EntryFile) -> None:
    (town,) = page_tables.breakdowns(entry)["town"]
    assert (town.label, town.n_drives) == ("alder", 3)
    mean = entry.results["drive_il"]["scores"]["mean"]["score_composed"]
    assert town.scores[0].value == pytest.approx(mean)
    assert page_tables.breakdowns(entry)["scenario"] == []
