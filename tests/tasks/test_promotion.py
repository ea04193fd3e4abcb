"""Who becomes champion, what is written down of it, and the way back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import RegistryError
from galaxyloop.promotion import PromotionConfig
from schemas.model_version import ModelVersion
from tasks import registry
from tasks.registry.aliases import history, note
from tasks.registry.client import open_client
from tests.tasks.fake_versions import evaluation, fake_version, scores

CONFIG = PromotionConfig(n_bootstrap=200)


@pytest.fixture(scope="module", autouse=True)
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowClient]:
    """One database for all tests of this file: making one takes seconds."""
    directory = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{directory}/mlflow.db")
        patch.setenv("GALAXYLOOP_STORE", str(directory / "store"))
        yield open_client()


def offer(client: MlflowClient, name: str, nats: float, seed: int = 0, **at: str) -> str:
    """A new version of that quality, held against the champion; what came of it."""
    return promote(fake_version(client, name, seed), nats, **at)


def promote(version: ModelVersion, nats: float, **at: str) -> str:
    told: str = registry.promote_model(
        model=version,
        evaluation=evaluation(scores(nats, **at)),
        champion_evaluations=[],
        champion="",
        obstacle="",
        config=CONFIG,
    )
    return told


def aliases(client: MlflowClient, name: str) -> dict[str, str]:
    found = client.get_registered_model(name).aliases
    return {alias: str(version) for alias, version in found.items()}


def changes(client: MlflowClient, name: str) -> list[tuple[str, str, str]]:
    return [(one["action"], one["version"], one["replaced"]) for one in history(client, name)]


def test_promote_model__crowns_the_first_version(client: MlflowClient) -> None:
    told = offer(client, "first", 0.0)
    assert told == (
        "first version 1 is the champion: there was no champion, and its scores are finite"
    )
    assert aliases(client, "first") == {"champion": "1"}
    assert changes(client, "first") == [("promoted", "1", "")]


def test_promote_model__crowns_no_first_version_without_finite_scores(client: MlflowClient) -> None:
    told = offer(client, "broken", float("nan"))
    assert "does not become champion: 60 of its 60 log-likelihoods are not finite" in told
    assert aliases(client, "broken") == {"challenger": "1"}


def test_promote_model__crowns_a_better_one_and_writes_down_both_sides(
    client: MlflowClient,
) -> None:
    offer(client, "better", 0.0)
    told = offer(client, "better", 0.3, seed=1)
    assert told.startswith("better version 2 is the champion: better: mean log-likelihood +0.3 ")
    assert aliases(client, "better") == {"champion": "2", "previous": "1"}
    assert changes(client, "better") == [("promoted", "1", ""), ("promoted", "2", "1")]
    won = client.search_model_versions("tags.`galaxyloop.promotion.against_1` = 'won'")
    lost = client.search_model_versions("tags.`galaxyloop.promotion.against_2` = 'lost'")
    assert [(one.name, one.version) for one in (*won, *lost)] == [("better", 2), ("better", 1)]
    file = "promotion/better-version-2-against-version-1.json"
    record = json.loads(Path(download_artifacts(f"runs:/{won[0].run_id}/{file}")).read_text())
    assert record["is_promoted"] is True
    assert record["champion"]["version"] == "1"
    assert record["questions"][0]["difference"] == pytest.approx(0.3)
    assert record["config"]["n_bootstrap"] == 200


def test_promote_model__leaves_a_worse_one_and_is_the_same_again(client: MlflowClient) -> None:
    offer(client, "worse", 0.0)
    version = fake_version(client, "worse", 1)
    told = [promote(version, -0.3) for _ in range(2)]
    assert told[0] == told[1]
    assert "version 2 does not become champion: not better beyond chance" in told[0]
    assert "bar-toy is worse: -0.3" in told[0]
    assert aliases(client, "worse") == {"champion": "1", "challenger": "2"}
    assert len(history(client, "worse")) == 1
    tags = client.get_model_version("worse", "2").tags
    assert tags["galaxyloop.promotion"] == "stays"
    assert tags["galaxyloop.promotion.against_1"] == "lost"
    assert client.get_model_version("worse", "1").tags["galaxyloop.promotion.against_2"] == "won"


def test_promote_model__of_the_champion_changes_nothing(client: MlflowClient) -> None:
    version = fake_version(client, "again", 0)
    promote(version, 0.0)
    before = client.get_registered_model("again").tags
    assert promote(version, 0.0) == "again version 1 is the champion already"
    assert client.get_registered_model("again").tags == before


def test_promote_model__asks_for_scores_of_a_champion_it_does_not_know(
    client: MlflowClient,
) -> None:
    offer(client, "elsewhere", 0.0)
    with pytest.raises(RegistryError, match="version 1, now champion, has no scores.*run the"):
        offer(client, "elsewhere", 1.0, seed=1, held_out="2")
    assert aliases(client, "elsewhere") == {"champion": "1", "challenger": "2"}
    # Once the champion is scored there, it is compared.
    told = registry.promote_model(
        model=ModelVersion("elsewhere", "2", "", "", ""),
        evaluation=evaluation(scores(1.0, "2")),
        champion_evaluations=[evaluation(scores(0.0, "2"))],
        champion="1",
        obstacle="",
        config=CONFIG,
    )
    assert told.startswith("elsewhere version 2 is the champion")


def test_promote_model__says_what_cannot_be_compared(client: MlflowClient) -> None:
    offer(client, "other-tree", 0.0)
    told = registry.promote_model(
        model=fake_version(client, "other-tree", 1),
        evaluation=evaluation(scores(1.0, "2")),
        champion_evaluations=[],
        champion="1",
        obstacle="the champion sees cutouts of 64 px",
        config=CONFIG,
    )
    assert told.endswith("does not become champion: the champion sees cutouts of 64 px")
    tree = DecisionTree("toy", (Question("ring-toy", ("yes", "no")),))
    offered = scores(1.0, tree=tree)
    told = registry.promote_model(
        model=fake_version(client, "other-tree", 2),
        evaluation=evaluation(offered),
        champion_evaluations=[],
        champion="",
        obstacle="",
        config=CONFIG,
    )
    assert "its label columns are not the champion's: 2 new" in told


def test_promote_stored__decides_from_what_the_registry_keeps(client: MlflowClient) -> None:
    offer(client, "stored", 0.0)
    offer(client, "stored", -0.01, seed=1)
    assert aliases(client, "stored")["champion"] == "1"
    with pytest.raises(RegistryError, match="there is no model 'stored/9'"):
        registry.promote_stored(model="stored/9", config=CONFIG)
    unscored = fake_version(client, "stored", 2)
    with pytest.raises(RegistryError, match="version 3 has no scores on held-out galaxies"):
        registry.promote_stored(model=f"stored/{unscored.version}", config=CONFIG)
    few = PromotionConfig(n_bootstrap=200, min_groups=61)
    told = registry.promote_stored(model="stored/2", config=few)
    assert told.endswith(
        "60 independent groups of held-out galaxies say too little; min_groups is 61"
    )


def test_roll_back_model__goes_back_one_by_one(client: MlflowClient) -> None:
    for seed in range(3):
        offer(client, "back", 0.3 * seed, seed=seed)
    assert aliases(client, "back") == {"champion": "3", "previous": "2"}
    told = registry.roll_back_model(name="back", reason="bars vanish")
    assert told == "back version 2 is the champion again, version 3 no more: bars vanish"
    assert aliases(client, "back") == {"champion": "2", "previous": "1"}
    registry.roll_back_model(name="back", reason="that one too")
    assert aliases(client, "back") == {"champion": "1"}
    with pytest.raises(RegistryError, match="nothing to roll 'back' back to: its champion is 1"):
        registry.roll_back_model(name="back", reason="and further")
    assert changes(client, "back")[3:] == [
        ("rolled back to", "2", "3"),
        ("rolled back to", "1", "2"),
    ]


def test_roll_back_model__is_not_undone_by_the_next_run(client: MlflowClient) -> None:
    offer(client, "taken-back", 0.0)
    version = fake_version(client, "taken-back", 1)
    promote(version, 0.3)
    registry.roll_back_model(name="taken-back", reason="it sees rings everywhere")
    told = promote(version, 0.3)
    assert "it was rolled back (it sees rings everywhere): promote it by hand" in told
    assert aliases(client, "taken-back")["champion"] == "1"
    told = registry.promote_by_hand(model="taken-back/2", reason="the rings are real")
    assert told == "taken-back version 2 is the champion, by hand: the rings are real"
    assert aliases(client, "taken-back") == {"champion": "2", "previous": "1"}
    assert "galaxyloop.rolled_back" not in client.get_model_version("taken-back", "2").tags


def test_promotion__that_was_cut_short_is_carried_out_once(client: MlflowClient) -> None:
    offer(client, "cut", 0.0)
    version = fake_version(client, "cut", 1)
    offered = promote(version, 0.3)
    reason = offered.split(": ", 1)[1]
    # As left by a process that ended after the note, and after the first alias.
    client.set_registered_model_alias("cut", "champion", "1")
    client.set_registered_model_alias("cut", "previous", "1")
    assert promote(version, 0.3) == offered
    assert history(client, "cut")[-1]["reason"] == reason
    assert changes(client, "cut") == [("promoted", "1", ""), ("promoted", "2", "1")]
    assert aliases(client, "cut") == {"champion": "2", "previous": "1"}


def test_roll_back_model__that_was_cut_short_is_carried_out_once(client: MlflowClient) -> None:
    for seed in range(3):
        offer(client, "cut-back", 0.3 * seed, seed=seed)
    note(client, "cut-back", ("rolled back to", "2", "3", "bars vanish"))
    client.set_registered_model_alias("cut-back", "champion", "2")
    told = registry.roll_back_model(name="cut-back", reason="bars vanish")
    assert told == "cut-back version 2 is the champion again, version 3 no more: bars vanish"
    assert aliases(client, "cut-back") == {"champion": "2", "previous": "1"}
    assert len(history(client, "cut-back")) == 4


def test_by_hand__needs_a_reason(client: MlflowClient) -> None:
    with pytest.raises(RegistryError, match="give a reason"):
        registry.promote_by_hand(model="first/1", reason=" ")
    with pytest.raises(RegistryError, match="give a reason"):
        registry.roll_back_model(name="first", reason="")
    told = registry.promote_by_hand(model="first@champion", reason="it is")
    assert told == "first version 1 is the champion already"


@pytest.mark.parametrize("alias", ["champion", "previous"])
def test_register_model__gives_no_alias_that_must_be_won(alias: str) -> None:
    with pytest.raises(RegistryError, match=f"the alias '{alias}' is moved by promotions"):
        registry.register_model(run_id="0", name="first", alias=alias)
