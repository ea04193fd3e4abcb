"""Publishing that ends after any step: what lies there then, and what the next run makes of it."""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from galaxyloop.errors import CatalogueError
from galaxyloop.publishing import (
    POINTER,
    CatalogueRecord,
    find_standing,
    find_surveys,
    keep_survey,
    publish_products,
    read_record,
    survey_place,
)

WRITES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}


class KilledError(BaseException):
    """Nothing in the library catches it."""


class Steps:
    """Lets through so many writes and removals; then none, as from a dead process."""

    n_left: int | None = None

    def take(self) -> None:
        if self.n_left is not None:
            if not self.n_left:
                raise KilledError
            self.n_left -= 1

    def watch(self, event: str, arguments: tuple[object, ...]) -> None:
        """A hook that Python calls before it asks the system for something."""
        if event in WRITES or (event == "open" and str(arguments[1] or "r")[0] in "wax"):
            self.take()

    @contextmanager
    def dying_after(self, n_steps: int) -> Iterator[list[bool]]:
        """Whether it was killed is added to the list."""
        self.n_left, killed = n_steps, []
        try:
            yield killed
            killed.append(False)
        except KilledError:
            killed.append(True)
        finally:
            self.n_left = None


STEPS = Steps()


@pytest.fixture(scope="module", autouse=True)
def watched() -> None:
    sys.addaudithook(STEPS.watch)


class Objects(dict[str, object]):
    """An object store's objects."""

    def __setitem__(self, name: str, content: object) -> None:
        STEPS.take()
        super().__setitem__(name, content)

    def __delitem__(self, name: str) -> None:
        STEPS.take()
        super().__delitem__(name)


@pytest.fixture(params=["disk", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.setattr(MemoryFileSystem, "store", Objects())
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    return str(tmp_path / "place") if request.param == "disk" else "memory://place"


def files(output: str) -> dict[str, str]:
    filesystem, path = fsspec.core.url_to_fs(output)
    names = filesystem.find(path)
    return {name.removeprefix(f"{path}/"): filesystem.cat_file(name).decode() for name in names}


@dataclass(frozen=True)
class Survey:
    """Galaxies, a letter each, in chunks; its digest is of both, as a survey version's is."""

    chunks: tuple[str, ...]

    @classmethod
    def grow(cls, letters: str, before: "Survey") -> "Survey":
        """Chunks that are wholly there stay, the other galaxies make a new one."""
        kept = [chunk for chunk in before.chunks if set(chunk) <= set(letters)]
        rest = "".join(sorted(set(letters) - set("".join(kept))))
        return cls((*kept, rest) if rest else tuple(kept))

    @classmethod
    def read(cls, address: str) -> "Survey":
        """What lies at an address; nothing if there is none."""
        found = files(address) if address else {}
        chunks = json.loads(found["survey.json"])["chunks"] if found else []
        assert [found[f"chunks/{chunk}"] for chunk in chunks] == chunks
        return cls(tuple(chunks))

    @property
    def digest(self) -> str:
        return sha256(repr(self.chunks).encode()).hexdigest()

    def files(self) -> dict[str, str]:
        summary = json.dumps({"digest": self.digest, "chunks": self.chunks})
        return {f"chunks/{chunk}": chunk for chunk in self.chunks} | {"survey.json": summary}

    def record(self) -> CatalogueRecord:
        return CatalogueRecord(self.digest, ["c" * 64], "{}")

    def products(self, before: "Survey") -> dict[str, str]:
        """A catalogue, what changed in it, and a product of many files, or one that others lack."""
        now, then = set("".join(self.chunks)), set("".join(before.chunks))
        only = {"only_" + self.digest[:4]: "1"}
        folder = {f"hats/{letter}": letter for letter in now}
        changed = {"changes.parquet": "".join(sorted(now ^ then))}
        return {"catalogue.parquet": "".join(self.chunks)} | only | folder | changed


def write(root: Path, contents: dict[str, str]) -> Path:
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def play(output: str, letters: str, n_steps: int = sys.maxsize) -> tuple[Survey, bool]:
    """Bring a catalogue up to date as a night does; whether it was killed on the way."""
    address, compared = find_surveys(output)
    survey, last = Survey.grow(letters, Survey.read(address)), Survey.read(compared)
    scratch = Path(tempfile.mkdtemp())
    directory = write(scratch / "survey", survey.files())
    made = write(scratch / "made", survey.products(last))
    with STEPS.dying_after(n_steps) as killed:
        if find_standing(output, survey.record()) is None:
            keep_survey(directory, survey.digest, output)
            publish_products(made, directory, output, survey.record())
    return survey, killed[0]


def finished(output: str) -> bool:
    try:
        return bool(read_record(output))
    except CatalogueError:
        return False


def without_surveys(contents: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in contents.items() if not name.startswith("survey-")}


@pytest.mark.parametrize(
    ("first", "then"), [("", "bcde"), ("ab", "abcd"), ("ab", "ab"), ("ab", "bcde")]
)
def test_publish_products__killed_after_any_step_loses_nothing(
    place: str, first: str, then: str
) -> None:
    n_steps, is_killed, seen = 0, True, set()
    while is_killed:
        output = f"{place}/{n_steps}"
        before = play(output, first)[0] if first else Survey(())
        stood = files(output)
        survey, is_killed = play(output, "abcd", n_steps)
        # What lies there is the catalogue before, whole; or none; or the new one, whole.
        stands, last = finished(output), Survey.read(find_surveys(output)[1])
        assert last in (before, survey)
        if last == survey:
            stood = survey.products(before)
        stood.pop(POINTER, None)
        if stands:
            assert stood.items() <= files(output).items()
        # The next run makes of it what it would have made, whatever that is.
        grown_from = Survey.read(find_surveys(output)[0])
        assert grown_from in (before, survey)
        after, _ = play(output, then)
        assert after == Survey.grow(then, grown_from)
        left = files(output)
        pointer = json.loads(left.pop(POINTER))
        assert pointer["is_finished"]
        is_same = stands and after == last
        expected = without_surveys(stood) if is_same else after.products(last)
        assert without_surveys(left) == expected
        kept = {survey_place("", digest)[1:] for digest in (after.digest, pointer["survey"])}
        assert {name.split("/")[0] for name in left.keys() - expected.keys()} == kept
        assert Survey.read(survey_place(output, after.digest)) == after
        seen.add((last == survey, stands))
        n_steps += 1
    assert n_steps > 15
    assert seen == {(False, bool(first)), (False, False), (True, True)}
