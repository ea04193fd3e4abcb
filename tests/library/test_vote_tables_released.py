"""Released tables of predictions are refused by name; tables with votes never are."""

import pytest

from galaxyloop.campaigns import CAMPAIGNS, find_campaign
from galaxyloop.catalogue import catalogue_columns, prediction_columns
from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables import VoteSource
from galaxyloop.vote_tables.layout import find_layout
from galaxyloop.vote_tables.released import RELEASES, refuse_released

TREE = find_campaign("gz_decals_dr5").tree
ANSWERS = [column.replace("-dr5_", "_") for column in TREE.columns]
QUESTIONS = [name.removesuffix("-dr5") for name in TREE.question_names]
DESI_IDS = ["dr8_id", "brickid", "objid", "ra", "dec", "hdf5_loc"]
EUCLID_IDS = ["object_id", "tile_index", "segmentation_map_id", "id_str", "right_ascension"]


def ending(*suffixes: str, of: list[str] | tuple[str, ...] = ANSWERS) -> list[str]:
    return [f"{name}{suffix}" for name in of for suffix in suffixes]


HEADERS = {
    "GZ DESI friendly": [*DESI_IDS, *ending("_fraction"), "__index_level_0__"],
    "GZ DESI advanced": [
        *DESI_IDS,
        *ending("_fraction", "_90pc-lower", "_90pc-upper", "_proportion-asked"),
    ],
    "Euclid Q1": [*EUCLID_IDS, "problem_star_fraction", *ending("_fraction", "_dirichlet")],
    "GZ DECaLS automated": [
        "iauname",
        "ra",
        "dec",
        *ending("_proportion_volunteers_asked", of=QUESTIONS),
        *ending("_fraction", "_concentration_mean"),
    ],
    "Cosmic Dawn": ["id_str", "smooth-or-featured-cd_smooth_dirichlet", "bar-cd_no_fraction"],
    "our catalogue": list(catalogue_columns(TREE)),
    "our predictions": list(prediction_columns(TREE)),
}
TITLES = {
    "GZ DESI friendly": "GZ DESI .Walmsley et al. 2023.*2309.11425.*gz_decals_volunteers_5",
    "GZ DESI advanced": "GZ DESI .Walmsley et al. 2023.*2309.11425.*smooth-or-featured-dr8",
    "Euclid Q1": "Euclid Q1 .Walmsley et al. 2025.*2503.15310.*smooth-or-featured-euclid_smooth",
    "GZ DECaLS automated": "automated posteriors of GZ DECaLS.*2102.08414.*gz_decals_volunteers_5",
    "Cosmic Dawn": "Cosmic Dawn .Pearson et al. 2025.*2509.22311.*smooth-or-featured-cd_smooth",
    "our catalogue": "that galaxyloop wrote .*vote tables that the model was trained on",
    "our predictions": "that galaxyloop wrote .*vote tables that the model was trained on",
}


@pytest.mark.parametrize("campaign", ["gz2", "gz_decals_dr5"])
@pytest.mark.parametrize("name", HEADERS)
def test_find_layout__names_a_release_of_predictions_whatever_the_campaign(
    name: str, campaign: str
) -> None:
    source = VoteSource("table.csv", campaign)
    with pytest.raises(VoteTableError, match=TITLES[name]) as caught:
        find_layout(HEADERS[name], source, find_campaign(campaign))
    assert "are a model's predictions" in str(caught.value)
    assert "no error bar would mean anything" in str(caught.value)


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("campaign", sorted(CAMPAIGNS))
def test_refuse_released__lets_counts_pass_whatever_stands_beside_them(
    name: str, campaign: str
) -> None:
    grammar = find_campaign(campaign).published
    suffix = next((s for s, role in grammar.suffixes.items() if role == "count"), None)
    count = f"{next(iter(grammar.answers))}{suffix}" if suffix is not None else TREE.columns[0]
    refuse_released([*HEADERS[name], count], VoteSource("table.csv", campaign))


def test_refuse_released__lets_fractions_with_totals_pass() -> None:
    header = ["dr8_id", *ending("_fraction"), *ending("_total-votes", of=QUESTIONS)]
    layout = find_layout(
        header, VoteSource("t", "gz_decals_dr5", id_column="dr8_id"), CAMPAIGNS["gz_decals_dr5"]
    )
    assert {question.method for question in layout.questions} == {"fractions"}


def test_find_layout__does_not_trust_fractions_beside_a_model_s_columns() -> None:
    header = [
        "id_str",
        "bar_total-votes",
        *ending("_fraction", "_pred", of=["bar_strong", "bar_weak", "bar_no"]),
    ]
    with pytest.raises(VoteTableError, match="bar_strong_pred are a model's predictions"):
        find_layout(header, VoteSource("t", "gz_decals_dr5"), CAMPAIGNS["gz_decals_dr5"])


def test_releases__say_where_the_volunteers_votes_are() -> None:
    for release in RELEASES:
        assert any(word in release.remedy for word in ("volunteers", "votes"))
        assert release.reference
