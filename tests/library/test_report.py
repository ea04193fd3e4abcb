"""The report: complete, self-contained, and honest about what is missing."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.campaigns import find_campaign
from galaxyloop.decision_tree import DecisionTree, Question, combine_trees
from galaxyloop.errors import ReportError
from galaxyloop.metrics import MetricsConfig, add_average_ratio, evaluate_predictions
from galaxyloop.report import (
    GalaxyImage,
    GalaxyPosterior,
    HeldOutGalaxies,
    ReportContent,
    write_report,
)
from galaxyloop.report.campaigns import DERIVED_NOTE
from galaxyloop.report.charts import confusion_charts, image_uri
from galaxyloop.report.tables import gallery_title, metric_table, question_titles

SECTIONS = (
    *("What came in", "How it learnt", "Predictions against volunteers", "Posteriors"),
    *("Calibration", "Gallery", "Ask next", "Provenance"),
)
TREE = DecisionTree(
    "toy",
    (
        Question("smooth-or-featured-toy", ("smooth", "featured", "artifact")),
        Question("bar-toy", ("yes", "no"), ("smooth-or-featured-toy_featured",)),
    ),
)
VOID = {"meta", "img", "source", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """A page's headings, attributes and whether its tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open_tags: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.ids: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "srcset", "href")]
        self.ids += [str(value) for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open_tags and self.open_tags[-1] == "h2":
            self.headings.append(data)


def least_content() -> ReportContent:
    return ReportContent(
        title="An empty run",
        survey="no survey",
        tree=TREE,
        model="toy version 1",
        intake=pd.DataFrame({"step": [], "n_read": [], "n_used": [], "n_rejected": []}),
        learning_log=pd.DataFrame({"epoch": [], "train_loss": [], "validation_loss": []}),
    )


@pytest.fixture(scope="module")
def full_content() -> ReportContent:
    rng = np.random.default_rng(3)
    images = rng.integers(0, 255, (5, 24, 24, 3), dtype=np.uint8)
    votes = np.hstack(
        [rng.multinomial(40, (0.5, 0.4, 0.1), 60), rng.multinomial(3, (0.5, 0.5), 60)]
    )
    metrics = pd.DataFrame(
        [
            ("smooth-or-featured-toy", "rmse", 0.125, 0.1, 0.15, 60),
            ("smooth-or-featured-toy", "rmse_of_mean", 0.25, np.nan, np.nan, 60),
            ("bar-toy", "rmse", np.nan, np.nan, np.nan, 0),
        ],
        columns=["question", "metric", "value", "low", "high", "n_galaxies"],
    )
    return ReportContent(
        title="Galaxies & <others>",
        survey="a survey",
        tree=TREE,
        model="toy version 1",
        intake=pd.DataFrame(
            [("images", 1234, 1233, 1), ("votes", 60, 60, 0)],
            columns=["step", "n_read", "n_used", "n_rejected"],
        ),
        rejects={"images": pd.DataFrame({"value": ["<html>"], "reason": ["a truncated JPEG"]})},
        learning_log=pd.DataFrame(
            {"epoch": [0, 1], "train_loss": [2.0, 1.0], "validation_loss": [2.0, 1.5]}
        ).assign(seconds=[5.0, 9.0], n_images=[100, 200]),
        n_catalogue_rows=1233,
        metrics=metrics,
        cross_validation=metrics,
        held_out=HeldOutGalaxies(rng.dirichlet((1, 1, 1, 1, 1), 60), votes),
        calibration=pd.DataFrame({"nominal": [0.5, 0.9], "observed": [0.45, 0.875]}),
        pit=rng.uniform(0, 1, 300),
        galaxies=[GalaxyPosterior("g1", images[0], rng.uniform(1, 30, (4, 5)), votes[0])],
        gallery=[GalaxyImage(f"g{i}", images[i], "0.9 smooth", "Smooth") for i in range(3)],
        acquisition=pd.DataFrame(
            {
                "rank": [1, 2],
                "id_str": ["g3", "not among the images"],
                "information_nats": [0.5, 0.25],
                "most_informative_question": ["bar-toy", "smooth-or-featured-toy"],
            }
        ),
        acquisition_images={"g3": images[3]},
        provenance={"Checkpoint digest": "ab12cd"},
    )


def test_write_report__has_every_section(full_content: ReportContent, tmp_path: Path) -> None:
    write_report(full_content, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    page = Page(html)
    assert page.open_tags == []
    assert tuple(page.headings) == SECTIONS
    assert {f"#{name}" for name in page.ids} == {link for link in page.links if link[0] == "#"}
    assert 'class="none"' not in html
    for text in ("1\u2009234", "0.125", "a truncated JPEG", "ab12cd", "0.500 nats", "88 %"):
        assert text in html
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_write_report__refers_to_nothing_outside(
    full_content: ReportContent, tmp_path: Path
) -> None:
    write_report(full_content, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    page = Page(html)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert not re.search(r"https?:|url\(|@import", html)
    assert not {"script", "link", "iframe"} & set(page.tags)


def test_write_report__escapes_what_it_is_given(
    full_content: ReportContent, tmp_path: Path
) -> None:
    write_report(full_content, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert "Galaxies &amp; &lt;others&gt;" in html
    assert "e.g. &lt;html&gt;" in html


def test_write_report__writes_the_same_bytes_twice(
    full_content: ReportContent, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        write_report(full_content, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_write_report__says_what_is_missing(tmp_path: Path) -> None:
    write_report(least_content(), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert tuple(Page(html).headings) == SECTIONS
    for text in ("Nothing was rejected", "No galaxies were ranked", "No held-out galaxies"):
        assert text in html


def test_write_report__bears_sets_without_votes_or_galaxies(tmp_path: Path) -> None:
    nobody = HeldOutGalaxies(np.zeros((0, 5)), np.zeros((0, 5), dtype=np.int64))
    silent = HeldOutGalaxies(np.full((2, 5), 0.5), np.zeros((2, 5), dtype=np.int64), min_votes=0)
    galaxy = GalaxyPosterior(
        "g1", np.zeros((8, 8, 3), dtype=np.uint8), np.full((2, 5), 2.0), np.zeros(5, dtype=np.int64)
    )
    empty = pd.DataFrame({"nominal": [], "observed": []})
    for held_out in (nobody, silent):
        content = dataclasses.replace(
            least_content(),
            held_out=held_out,
            calibration=empty,
            pit=np.zeros(0),
            galaxies=[galaxy],
            metrics=pd.DataFrame(columns=["question", "metric", "value", "low", "high"]),
        )
        write_report(content, tmp_path / "report.html")
        assert "no votes yet" in (tmp_path / "report.html").read_text()


def test_confusion_charts__count_galaxies_that_volunteers_are_sure_of() -> None:
    votes = np.zeros((20, 5), dtype=np.int64)
    votes[:12, 0], votes[12:, 1], votes[12:, 0] = 40, 28, 12
    held_out = HeldOutGalaxies(np.full((20, 5), 0.2), votes)
    titles = question_titles(TREE)
    (chart,) = confusion_charts(held_out, TREE, titles)
    # Of the others 7 in 10 said featured, and nobody was asked for a bar.
    assert (chart.title, chart.caption) == (titles["smooth-or-featured-toy"], "12 galaxies")
    easier = dataclasses.replace(held_out, confident_fraction=0.6)
    assert [one.caption for one in confusion_charts(easier, TREE, titles)] == ["20 galaxies"]
    assert confusion_charts(None, TREE, titles) == []


def test_report_content__refuses_counts_that_do_not_add_up() -> None:
    intake = pd.DataFrame({"step": ["images"], "n_read": [10], "n_used": [8], "n_rejected": [1]})
    with pytest.raises(ReportError, match=r"'images' must add up: read 10 = used 8 \+ rejected 1"):
        dataclasses.replace(least_content(), intake=intake)


def test_report_content__refuses_arrays_of_another_tree() -> None:
    held_out = HeldOutGalaxies(np.zeros((2, 4)), np.zeros((2, 4), dtype=np.int64))
    with pytest.raises(ReportError, match=r"must have 5 answers .* got the shape \(2, 4\)"):
        dataclasses.replace(least_content(), held_out=held_out)


def test_report_content__refuses_a_list_that_was_not_ranked() -> None:
    with pytest.raises(ReportError, match=r"has no column \['information_nats', 'most_info"):
        dataclasses.replace(
            least_content(), acquisition=pd.DataFrame({"rank": [1], "id_str": ["a"]})
        )


def test_metric_table__orders_metrics_and_leaves_coverages_to_the_chart() -> None:
    rows = [(name, 1.0, np.nan, np.nan, 7) for name in ("new_one", "coverage_50", "mae", "rmse")]
    metrics = pd.DataFrame(rows, columns=["metric", "value", "low", "high", "n_galaxies"])
    table = metric_table(metrics.assign(question="bar-toy"), {"bar-toy": "Bar"})
    assert table is not None
    assert table.header == ("question", "RMSE", "mean absolute error", "new one", "galaxies")
    assert [cell.text for cell in table.rows[0]] == ["Bar", "1.000", "1.000", "1.000", "7"]


def two_campaigns(tree: DecisionTree) -> ReportContent:
    """Held-out galaxies of a campaign of two, every other with votes of either."""
    rng = np.random.default_rng(5)
    n_answers = len(tree.columns)
    votes = rng.multinomial(40, np.full(n_answers, 1 / n_answers), 60) + 5
    for i, part in enumerate(tree.parts[:2]):
        votes[i::2, tree.places_of(part)] = 0
    concentrations = rng.uniform(1, 30, (3, 60, n_answers))
    metrics = evaluate_predictions(
        concentrations, votes, votes, tree, MetricsConfig(n_bootstrap=5, levels=[0.9])
    )
    return dataclasses.replace(
        least_content(),
        tree=tree,
        metrics=add_average_ratio(metrics, tree),
        held_out=HeldOutGalaxies(rng.dirichlet(np.ones(n_answers), 60), votes),
        galaxies=[
            GalaxyPosterior(f"g{i}", np.zeros((8, 8, 3), np.uint8), concentrations[:, i], votes[i])
            for i in range(2)
        ],
    )


def test_write_report__sorts_questions_by_campaign_and_marks_derived_ones(tmp_path: Path) -> None:
    tree = combine_trees([TREE, find_campaign("efigi").tree])
    write_report(two_campaigns(tree), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert Page(html).open_tags == []
    assert "questions of toy and efigi." in html
    places = [html.index(f"<h3>{title}") for title in ("toy", "EFIGI", "All campaigns together")]
    assert places == sorted(places)
    assert html.count(DERIVED_NOTE) == 1
    assert html.index(DERIVED_NOTE) > places[1]
    assert "No volunteers voted in efigi" in html
    for title in ("RMSE, first question of toy", "RMSE, first question of efigi", "All questions"):
        assert title in html
    # Each galaxy's posterior is of the campaign that it has votes of.
    assert html.count("no votes yet") == 0


def test_write_report__of_one_campaign_names_none_in_its_headings(tmp_path: Path) -> None:
    write_report(two_campaigns(TREE), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert "<h3>All measures</h3>" in html
    assert "<h3>toy" not in html
    assert "<h4>" not in html
    assert "All campaigns together" not in html
    assert "No volunteers voted" not in html
    write_report(two_campaigns(find_campaign("efigi").tree), tmp_path / "report.html")
    assert DERIVED_NOTE in (tmp_path / "report.html").read_text()


def test_gallery_title__reads_as_words_where_it_is_an_answer() -> None:
    assert gallery_title("smooth-or-featured-toy_smooth", TREE) == "Smooth or featured: smooth"
    assert gallery_title("Oddities", TREE) == "Oddities"


def test_question_titles__keep_the_campaign_only_where_there_are_several() -> None:
    assert list(question_titles(TREE).values()) == ["Smooth or featured", "Bar"]
    mixed = DecisionTree(
        "mixed", (Question("bar-toy", ("yes", "no")), Question("bar-dr5", ("yes", "no")))
    )
    assert list(question_titles(mixed).values()) == ["Bar toy", "Bar dr5"]


def test_image_uri__keeps_large_images_small() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (800, 400, 3), dtype=np.uint8)
    assert len(image_uri(noise)) < 160 * 80 * 3 * 1.5
