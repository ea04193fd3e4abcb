"""What a source says of a Panoptes export of classifications: which label is which answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from galaxyloop.config import StrictConfig, require
from galaxyloop.errors import ConfigError

REPEATS = ("galaxy", "subject")
_IMAGES = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINKS = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"\*\*|__|<[^>]*>")
_INDEXED = re.compile(r"(?P<task>[^.\[\]=]+)\[(?P<index>\d+)\]")
_VERSION = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class AnswerLine:
    """One line: ``T0.Smooth = smooth-or-featured-dr5_smooth``."""

    task: str
    """Task of the workflow: ``T0``, ``init``."""
    given: str | int | None
    """Label as ``clean_label`` leaves it, the answer's number from 0, or None for all the task."""
    answer: str
    """Answer of the campaign (or its question, for all the task); empty where it is set aside."""

    @property
    def name(self) -> str:
        """Task and label as errors show them: ``T0.smooth``, ``T0[0]``."""
        if self.given is None:
            return self.task
        is_number = isinstance(self.given, int)
        return f"{self.task}[{self.given}]" if is_number else f"{self.task}.{self.given}"


def clean_label(label: str) -> str:
    """A label as volunteers read it, so that the same answer is the same text.

    Markdown images go, links and emphasis leave their words; spaces are single, letters small.
    """
    words = _EMPHASIS.sub("", _LINKS.sub(r"\1", _IMAGES.sub(" ", label)))
    return " ".join(words.replace("\u2019", "'").split()).casefold()


def parse_answers(lines: Sequence[str]) -> tuple[AnswerLine, ...]:
    """The lines of ``answers``.

    ``TASK.LABEL = ANSWER`` names a label's answer, ``TASK[0] = ANSWER`` that of an answer's number
    (raw annotations have numbers where exports have labels), ``TASK = QUESTION`` takes the
    question's own words for labels. With nothing behind the last ``=`` the votes are set aside.

    Raises:
        ConfigError: a line is none of these, or a task and label have two lines.
    """
    parsed: dict[str, AnswerLine] = {}
    for text in lines:
        left, equals, answer = (part.strip() for part in text.rpartition("="))
        line = _parse_left(left, answer) if equals else None
        if line is None:
            raise ConfigError(
                "a line of classifications.answers must read 'TASK.LABEL = ANSWER', 'TASK[0] = "
                "ANSWER', 'TASK = QUESTION', or have nothing behind '=' (votes that are set "
                f"aside), got '{text}'"
            )
        require(line.name not in parsed, f"answers names '{line.name}' twice; keep one line")
        parsed[line.name] = line
    for line in parsed.values():
        whole = parsed.get(line.task)
        require(
            line.given is None or whole is None or bool(whole.answer),
            f"answers sets all of task '{line.task}' aside but names '{line.name}' too; keep one "
            "of the two",
        )
    return tuple(parsed.values())


def _parse_left(left: str, answer: str) -> AnswerLine | None:
    """A line from what stands before the equals sign."""
    if indexed := _INDEXED.fullmatch(left):
        return AnswerLine(indexed["task"].strip(), int(indexed["index"]), answer)
    task, dot, label = left.partition(".")
    cleaned = clean_label(label)
    if not task.strip() or (dot and not cleaned):
        return None
    return AnswerLine(task.strip(), cleaned if dot else None, answer)


@dataclass(frozen=True)
class ClassificationsConfig(StrictConfig):
    """How an export of classifications, a row a volunteer and subject, becomes votes."""

    answers: list[str] = field(default_factory=list)
    """Which answer each task and label is, a line each: ``T0.Smooth = smooth-or-featured_smooth``.
    Labels are compared without images, case and extra spaces. ``T0[0] = smooth-or-featured_smooth``
    names an answer by its number, ``T1 = disk-edge-on-dr5`` says that the labels are the answers of
    that question, ``T10 =`` sets a task aside. Empty: the table is no such export."""
    min_version: str = ""
    """Earliest workflow version that counts, as text: ``"66.425"``; empty for any."""
    max_version: str = ""
    """Latest one that counts; ``"66"`` takes all of 66."""
    created_from: str = ""
    """Classifications before this date are left out (before the launch): ``"2018-03-20"``, UTC."""
    one_vote_per: str = "galaxy"
    """Of one volunteer's classifications the first counts on each ``galaxy``, or on each
    ``subject`` (a galaxy may be several subjects)."""
    need_finished: bool = True
    """Whether a classification without ``finished_at`` in its metadata is left out."""

    def __post_init__(self) -> None:
        """Check the settings that need no file."""
        parse_answers(self.answers)
        for name in ("min_version", "max_version"):
            value = getattr(self, name)
            require(
                not value or read_version(value) is not None,
                f"{name} must be a version such as '66.425', in quotes, got '{value}'",
            )
        require(
            not self.created_from or read_moment(self.created_from) is not None,
            f"created_from must be a date such as '2018-03-20', got '{self.created_from}'",
        )
        require(
            self.one_vote_per in REPEATS,
            f"one_vote_per must be one of {', '.join(REPEATS)}, got '{self.one_vote_per}'",
        )


def read_version(text: str) -> tuple[int, ...] | None:
    """A workflow's version as numbers, so that 66.40 comes after 66.4; None if it is none."""
    text = text.strip()
    return tuple(map(int, text.split("."))) if _VERSION.fullmatch(text) else None


def read_moment(text: str) -> int | None:
    """A moment in microseconds since 1970, UTC; None if the text is none.

    Exports write ``2018-03-20 10:00:00 UTC``, the live service ``2018-03-20T10:00:00.123Z``.
    """
    try:
        moment = datetime.fromisoformat(text.strip().removesuffix("UTC").strip())
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    # Not by timestamp(), which rounds to floating point.
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def is_within(version: tuple[int, ...], lowest: str, highest: str) -> bool:
    """Whether a version lies between two, or is one of them; ``66`` as the highest takes all 66."""
    low, high = read_version(lowest) or (), read_version(highest) or ()
    return version >= low and (not high or version[: len(high)] <= high)
