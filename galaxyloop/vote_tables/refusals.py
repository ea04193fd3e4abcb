"""Headers that hold no votes of the campaign: what is wrong with them, in words."""

from collections.abc import Sequence

from galaxyloop.campaigns import CAMPAIGNS, Campaign, Grammar, Reading
from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables.settings import VoteSource


def refuse_unknown_answers(
    readings: dict[str, Reading], source: VoteSource, campaign: Campaign
) -> None:
    """Stop at an answer that the tree lacks: to drop it would bend the fractions of the rest.

    Raises:
        VoteTableError: there is one.
    """
    for column, reading in readings.items():
        is_votes = reading.role in ("count", "fraction") and reading.answer is None
        if is_votes and reading.stem not in campaign.superseded:
            known = campaign.tree.question(reading.question).answers
            raise VoteTableError(
                f"{source.uri}: column '{column}' is an answer to '{reading.question}' that "
                f"campaign '{campaign.name}' does not know (it knows {', '.join(known)}); name "
                "the right campaign, or put the column into ignored_columns if it holds no votes"
            )


def n_answers_known(header: Sequence[str], grammar: Grammar) -> int:
    """How many columns of the header are about answers that the grammar spells."""
    return sum(bool((reading := grammar.read(column)) and reading.answer) for column in header)


def say_nothing_recognised(header: Sequence[str], source: VoteSource, campaign: Campaign) -> str:
    """Why a table without any known column is refused, and which campaign it may be."""
    best = max(
        (candidate for candidate in CAMPAIGNS.values() if candidate.name != campaign.name),
        key=lambda other: max(n_answers_known(header, grammar) for grammar in other.grammars),
        default=campaign,
    )
    n_known = max(n_answers_known(header, grammar) for grammar in best.grammars)
    example = next(iter(campaign.published.answers))
    shown = ", ".join(header[:6])
    said = f"{source.uri} has no column of campaign '{campaign.name}' (such as {example}...): "
    if n_known:
        return f"{said}{n_known} of its columns look like campaign '{best.name}'; name that one"
    if any("fraction" in column for column in header):
        return (
            f"{said}it has {shown}; fractions without vote counts or totals cannot be turned "
            "into votes; use the campaign's released table with counts"
        )
    return f"{said}its {len(header)} columns are {shown}; is it a vote table, comma-separated?"


def say_no_votes(source: VoteSource, campaign: Campaign, readings: dict[str, Reading]) -> str:
    """Why a table with fractions alone, or with a model's predictions, is refused."""
    predicted = [column for column, reading in readings.items() if reading.role == "predicted"]
    found = (
        f"columns like {predicted[0]} are a model's predictions"
        if predicted
        else (
            f"its columns of campaign '{campaign.name}', such as {next(iter(readings))}, are "
            "fractions or statistics without totals"
        )
    )
    return (
        f"{source.uri} has no vote counts: {found}, from which votes cannot be recovered; use "
        "the campaign's released table of volunteers' votes with counts"
    )
