"""The page: the template filled with tables and charts."""

import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import jinja2

from galaxyloop.report import charts, tables
from galaxyloop.report.campaigns import campaign_sections, derived_sentence, overall_tables
from galaxyloop.report.content import GalaxyImage, ReportContent

N_GALLERY_IMAGES = 48
"""Most images in the gallery; the first of each group come first."""
N_ACQUISITIONS = 24
"""Most galaxies in "Ask next"."""
N_PANELS = 8
"""Most galaxies whose posterior is drawn."""


def write_report(content: ReportContent, path: Path) -> None:
    """Write the report as one self-contained HTML file, which appears when it is complete.

    Images and charts are embedded, charts once for light and once for dark screens; nothing is
    fetched from anywhere, so the file can be archived and mailed.
    """
    package = resources.files("galaxyloop.report")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((package / "template.html").read_text("utf-8"))
    style = (package / "style.css").read_text("utf-8")
    html = template.render(style=style, **_view(content))
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(html, encoding="utf-8")
    os.replace(partial, path)


def _view(content: ReportContent) -> dict[str, object]:
    """What the template fills in, by name."""
    titles = tables.question_titles(content.tree)
    return {
        "content": content,
        "summary": tables.summary(content),
        "derived": derived_sentence(content.tree),
        "strip": [charts.image_uri(one.image) for one in _strip(content.gallery)],
        "key_numbers": tables.key_numbers(content),
        "intake": tables.intake_table(content.intake),
        "rejects": tables.reject_table(content.rejects),
        "learning_facts": tables.learning_facts(content.learning_log),
        "learning_chart": charts.learning_chart(content.learning_log),
        "campaigns": campaign_sections(content),
        "confident": f"{content.held_out.confident_fraction:.0%}" if content.held_out else "",
        "overall": overall_tables(content),
        "panels": _panels(content, titles),
        "calibration_chart": charts.calibration_chart(content.calibration),
        "pit_chart": charts.pit_chart(content.pit),
        "gallery": _gallery_groups(content),
        "acquisitions": _acquisitions(content, titles),
    }


def _strip(gallery: Sequence[GalaxyImage]) -> Sequence[GalaxyImage]:
    """A dozen galaxies from all of the gallery, for the head of the page."""
    return gallery[:: max(1, len(gallery) // 12)][:12]


def _panels(content: ReportContent, titles: Mapping[str, str]) -> list[dict[str, object]]:
    """Each galaxy with the charts of the two most telling questions of its campaign."""
    tree = content.tree
    panels: list[dict[str, object]] = []
    for galaxy in content.galaxies[:N_PANELS]:
        # Of a galaxy in several campaigns, the one that gave it most votes.
        part = max(tree.parts, key=lambda part: galaxy.votes[tree.places_of(part)].sum())
        places = tree.places_of(part)
        pictures = charts.posterior_charts(
            galaxy.concentrations[:, places],
            galaxy.votes[places],
            charts.telling_answer(content.held_out, tree, part),
            part,
            titles,
        )
        image = charts.image_uri(galaxy.image)
        panels.append({"id_str": galaxy.id_str, "image": image, "charts": pictures})
    return panels


def _gallery_groups(content: ReportContent) -> dict[str, list[dict[str, str]]]:
    """Images by group, as many from each as fit."""
    gallery = content.gallery
    names = list(dict.fromkeys(one.group for one in gallery))
    n_each = N_GALLERY_IMAGES // max(len(names), 1)
    return {
        tables.gallery_title(name, content.tree): [
            {
                "id_str": one.id_str,
                "caption": one.caption,
                "image": charts.image_uri(one.image),
            }
            for one in gallery
            if one.group == name
        ][:n_each]
        for name in names
    }


def _acquisitions(content: ReportContent, titles: Mapping[str, str]) -> list[dict[str, object]]:
    """The top of the acquisition list with images where there are any."""
    if content.acquisition is None:
        return []
    top = content.acquisition.sort_values("rank").head(N_ACQUISITIONS)
    rows = []
    for row in top.to_dict("records"):
        image = content.acquisition_images.get(row["id_str"])
        question = str(row["most_informative_question"])
        rows.append(
            {
                "rank": int(row["rank"]),
                "id_str": row["id_str"],
                "question": titles.get(question, question),
                "information": f"{row['information_nats']:.3f}",
                "image": None if image is None else charts.image_uri(image),
            }
        )
    return rows
