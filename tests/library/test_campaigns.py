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
def test_campaign__asks_one_question_of_everybody(campaign: Campaign) -> None:
    roots = [question.name for question in campaign.tree.questions if not question.asked_after]
    assert roots == [campaign.tree.question_names[0]]


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


def test_campaign_tree__puts_campaigns_side_by_side_in_the_order_given() -> None:
    both = campaign_tree(["gz_decals_dr5", "gz2"])
    first, second = campaign_tree(["gz_decals_dr5"]), campaign_tree(["gz2"])
    assert both.columns == first.columns + second.columns


def test_find_campaign__refuses_an_unknown_name_and_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="no campaign 'gz3'; choose one of: gz2, gz_decals"):
        find_campaign("gz3")


def test_campaign_tree__refuses_a_campaign_given_twice() -> None:
    with pytest.raises(DecisionTreeError, match="appear twice"):
        campaign_tree(["gz2", "gz2"])
