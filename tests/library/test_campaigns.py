"""Every campaign in CAMPAIGNS keeps the rules that reading its tables relies on."""

import itertools

import pytest

from galaxyloop.campaigns import CAMPAIGNS, Campaign, campaign_tree, find_campaign
from galaxyloop.errors import DecisionTreeError, UnknownNameError

EVERY = pytest.mark.parametrize("campaign", CAMPAIGNS.values(), ids=CAMPAIGNS)


@EVERY
def test_campaign__is_registered_under_its_own_name(campaign: Campaign) -> None:
    assert find_campaign(campaign.name) is campaign
    assert campaign.tree.name == campaign.name


@EVERY
def test_campaign__spells_each_answer_of_its_tree_exactly_once(campaign: Campaign) -> None:
    for grammar in campaign.grammars:
        assert sorted(grammar.answers.values()) == sorted(campaign.tree.columns)
        assert sorted(grammar.questions.values()) == sorted(campaign.tree.question_names)


@EVERY
def test_grammar_read__finds_answer_and_role_behind_every_ending(campaign: Campaign) -> None:
    for grammar in campaign.grammars:
        for stem, suffix in itertools.product(grammar.answers, grammar.suffixes):
            reading = grammar.read(stem + suffix)
            assert reading is not None
            assert (reading.answer, reading.role) == (
                grammar.answers[stem],
                grammar.suffixes[suffix],
            )
            assert reading.answer in campaign.tree.question(reading.question).columns


@EVERY
def test_grammar_read__never_takes_an_id_or_a_coordinate_for_a_vote(campaign: Campaign) -> None:
    others = (*campaign.id_columns, "ra", "dec", "total_votes", "redshift", "barlength", "odd")
    for grammar, column in itertools.product(campaign.grammars, others):
        assert grammar.read(column) is None


@EVERY
def test_campaign__superseded_answers_belong_to_questions_of_the_tree(campaign: Campaign) -> None:
    for stem, question in campaign.superseded.items():
        assert question in campaign.tree.question_names
        reading = campaign.published.read(stem)
        assert reading is not None
        assert (reading.question, reading.answer) == (question, None)


@EVERY
def test_campaign__asks_one_question_of_everybody_unless_an_expert_answered(
    campaign: Campaign,
) -> None:
    roots = [question.name for question in campaign.tree.questions if not question.asked_after]
    asked_of_all = campaign.tree.question_names
    assert roots == list(asked_of_all if campaign.is_derived else asked_of_all[:1])


@EVERY
def test_campaign__has_a_suffix_that_no_other_campaign_has(campaign: Campaign) -> None:
    (suffix,) = {name.rpartition("-")[2] for name in campaign.tree.question_names}
    others = [other for other in CAMPAIGNS.values() if other is not campaign]
    taken = {name.rpartition("-")[2] for other in others for name in other.tree.question_names}
    assert suffix not in taken


def test_campaign_tree__makes_one_forest_of_all_campaigns() -> None:
    forest = campaign_tree(list(CAMPAIGNS))
    assert len(set(forest.columns)) == len(forest.columns)
    assert len(forest.columns) == sum(len(c.tree.columns) for c in CAMPAIGNS.values())


@EVERY
def test_campaign__pseudo_votes_cover_each_question_once(campaign: Campaign) -> None:
    if campaign.is_derived:
        told = [pseudo.question for pseudo in campaign.pseudo_votes]
        assert sorted(told) == sorted(campaign.tree.question_names)
        assert len({pseudo.column for pseudo in campaign.pseudo_votes}) == len(told)
    for pseudo in campaign.pseudo_votes:
        assert (pseudo.full, pseudo.none) == campaign.tree.question(pseudo.question).columns
        assert campaign.published.read(pseudo.column) is None


@pytest.mark.parametrize(
    ("name", "question", "parents"),
    [
        ("gz2", "bar-gz2", {"disk-edge-on-gz2_no"}),
        ("gz2", "has-spiral-arms-gz2", {"disk-edge-on-gz2_no"}),
        ("gz2", "bulge-size-gz2", {"disk-edge-on-gz2_no"}),
        ("gz2", "bulge-shape-gz2", {"disk-edge-on-gz2_yes"}),
        ("gz2", "spiral-winding-gz2", {"has-spiral-arms-gz2_yes"}),
        ("gz2", "odd-feature-gz2", {"something-odd-gz2_yes"}),
        (
            "gz2",
            "something-odd-gz2",
            {"smooth-or-featured-gz2_smooth", "smooth-or-featured-gz2_featured-or-disk"},
        ),
        (
            "gz_ukidss",
            "something-odd-ukidss",
            {"smooth-or-featured-ukidss_smooth", "smooth-or-featured-ukidss_featured-or-disk"},
        ),
        ("gz_ukidss", "bar-ukidss", {"disk-edge-on-ukidss_no"}),
        ("gz_decals_dr12", "spiral-winding-dr12", {"has-spiral-arms-dr12_yes"}),
        ("gz_candels", "spiral-arm-count-candels", {"has-spiral-arms-candels_yes"}),
        ("gz_candels", "bar-candels", {"disk-edge-on-candels_no"}),
        (
            "gz_candels",
            "merging-candels",
            {"smooth-or-featured-candels_smooth", "smooth-or-featured-candels_features"},
        ),
        (
            "gz_candels",
            "galaxy-symmetrical-candels",
            {
                "clump-count-candels_1",
                "one-clump-brightest-candels_no",
                "brightest-clump-central-candels_yes",
            },
        ),
        (
            "gz_hubble",
            "bar-hubble",
            {"disk-edge-on-hubble_no", "clump-configuration-hubble_spiral"},
        ),
        (
            "gz_hubble",
            "one-clump-brightest-hubble",
            {
                "clump-count-hubble_2",
                "clump-configuration-hubble_straight-line",
                "clump-configuration-hubble_chain",
                "clump-configuration-hubble_cluster-or-irregular",
            },
        ),
        ("gz_jwst_ceers", "clumps-ceers", {"disk-edge-on-ceers_no"}),
        ("gz_jwst_cosmos", "how-rounded-cosmos", {"smooth-or-featured-cosmos_smooth"}),
        ("gz_euclid", "artifact-euclid", {"problem-euclid_artifact"}),
        ("gz_decals_dr5", "edge-on-bulge-dr5", {"disk-edge-on-dr5_yes"}),
        ("gz_decals_dr5", "spiral-arm-count-dr5", {"has-spiral-arms-dr5_yes"}),
        (
            "gz_decals_dr5",
            "merging-dr5",
            {"smooth-or-featured-dr5_smooth", "smooth-or-featured-dr5_featured-or-disk"},
        ),
    ],
)
def test_campaign__asks_after_the_answers_that_volunteers_pass(
    name: str, question: str, parents: set[str]
) -> None:
    assert set(find_campaign(name).tree.question(question).asked_after) == parents


def test_gz2__has_eleven_tasks_with_37_answers_the_published_30_first() -> None:
    tree = find_campaign("gz2").tree
    assert (len(tree.questions), len(tree.columns)) == (11, 37)
    assert tree.columns[29] == "spiral-arm-count-gz2_cant-tell"


def test_gz_decals_dr5__has_ten_questions_with_34_answers() -> None:
    tree = find_campaign("gz_decals_dr5").tree
    assert (len(tree.questions), len(tree.columns)) == (10, 34)


@pytest.mark.parametrize(
    ("name", "column", "answer", "role"),
    [
        (
            "gz_hubble",
            "t16_clumps_count_a05_more_than_4_fraction",
            "clump-count-hubble_5-plus",
            "fraction",
        ),
        ("gz_hubble", "t12_clumpy_total_count", None, "total"),
        ("gz_hubble", "t12_clumpy_total_weight", None, "statistic"),
        (
            "gz_hubble",
            "t01_smooth_or_features_a01_smooth_best_fraction",
            "smooth-or-featured-hubble_smooth",
            "statistic",
        ),
        (
            "gz_candels",
            "t03_how_many_clumps_a4_5_plus_frac",
            "clump-count-candels_5-plus",
            "fraction",
        ),
        ("gz_candels", "t02_clumpy_appearance_count", None, "total"),
        (
            "gz_candels",
            "t16_merging_tidal_debris_a3_neither_weighted_frac",
            "merging-candels_neither",
            "weighted_fraction",
        ),
        ("gz_desi", "merging_merger_90pc-lower", "merging-desi_merger", "predicted"),
        ("gz_jwst_ceers", "problem-jwst_bad-zoom", "problem-ceers_bad-zoom", "count"),
        ("gz_decals_dr12", "bulge-size_total-votes", None, "total"),
        ("gz_rings", "ring_yes", "ring-rings_yes", "count"),
    ],
)
def test_grammar_read__knows_columns_of_released_tables(
    name: str, column: str, answer: str | None, role: str
) -> None:
    reading = find_campaign(name).published.read(column)
    assert reading is not None
    assert (reading.answer, reading.role) == (answer, role)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        # The whole galaxy's classifications, and a question whose answers do not exclude others.
        ("gz_hubble", "total_count"),
        ("gz_hubble", "t08_odd_feature_a01_ring_fraction"),
        ("gz_candels", "num_classifications"),
        ("gz_ukidss", "t08_odd_feature_a19_ring_count"),
    ],
)
def test_grammar_read__leaves_out_what_is_no_share_of_one_question(name: str, column: str) -> None:
    assert find_campaign(name).published.read(column) is None


def test_campaign_tree__puts_campaigns_side_by_side_in_the_order_given() -> None:
    both = campaign_tree(["gz_decals_dr5", "gz2"])
    first, second = campaign_tree(["gz_decals_dr5"]), campaign_tree(["gz2"])
    assert both.columns == first.columns + second.columns


def test_find_campaign__refuses_an_unknown_name_and_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="no campaign 'gz3'; choose one of: efigi, gz2, gz_"):
        find_campaign("gz3")


def test_campaign_tree__refuses_a_campaign_given_twice() -> None:
    with pytest.raises(DecisionTreeError, match="appear twice"):
        campaign_tree(["gz2", "gz2"])
