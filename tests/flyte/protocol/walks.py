"""One small survey in the object store, and each workflow of the project walked over it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from flyteidl.core.literals_pb2 import Literal
from safetensors.torch import save_file

from galaxyloop.encoders import build_encoder
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.label_efficiency.config import ArmConfig, LabelEfficiencyConfig
from galaxyloop.label_efficiency.simulated import simulated_config
from galaxyloop.synthetic import SimulationConfig, write_survey
from tests.flyte.protocol.attempts import Ended
from tests.flyte.protocol.cluster import Cluster
from tests.flyte.protocol.literals import Literals, find_entity, listed
from tests.library.cutout_server import quick_config, running_server

KICKOFF = datetime(2026, 11, 22, 2, 15, tzinfo=UTC)
N_GALAXIES = 90
TRAINING = {"epochs": 1, "batch_size": 32, "n_threads": 1}
SMALL: dict[str, Any] = {
    "cutouts": {"image_size_px": 32},
    "vote_checks": {"max_reject_rate": 0.2},
    "ingest": {"chunk_size": 50, "max_image_reject_rate": 0.2, "n_readers": 2},
    "run": {"training": TRAINING},
    "metrics": {"n_bootstrap": 20},
    "posterior": {"n_samples": 4, "n_threads": 1},
    "calibration": {"min_galaxies": 2},
    "information": {"n_monte_carlo": 20, "max_outcomes": 100},
    "finetuning": {"training": TRAINING},
    "label_metrics": {"n_bootstrap": 20},
    "rounds": {"n_folds": 2},
    "representation": {"n_threads": 1},
    "anomalies": {"n_neighbours": 3},
    "galleries": {"n_queries": 2, "n_neighbours": 3, "n_anomalies": 8},
}


def write_small_survey(folder: Path) -> None:
    """A survey with votes, and a table that says which galaxies have arms."""
    config = SimulationConfig(n_galaxies=N_GALAXIES, image_size_px=40, seed=5)
    write_survey(config, folder, progress=False)
    truth = pd.read_parquet(folder / "truth.parquet")
    names = np.where(truth["arm_contrast"] > 0.3, "arms", "no-arms")
    labels = pd.DataFrame({"id_str": truth["id_str"], "label": names})
    labels.to_csv(folder / "labels.csv", index=False)


@dataclass
class Walks:
    """A cluster, and what has been walked on it."""

    cluster: Cluster
    survey: Path
    """The survey's copy on this machine's disk."""
    outputs: dict[str, Literals] = field(default_factory=dict)
    attempts: dict[str, list[Ended]] = field(default_factory=dict)
    """What each walk ran."""

    def at(self, name: str) -> str:
        """An address in the object store."""
        return f"{self.cluster.store.address}/{name}"

    @property
    def votes(self) -> list[dict[str, str]]:
        return [{"uri": self.at("survey/votes.csv"), "campaign": "gz2"}]

    def walk(self, plan: str, **inputs: object) -> Literals:
        """Start a launch plan with the small settings that its workflow takes."""
        workflow = self.cluster.registration.plans[plan].workflow_id.name
        kinds = find_entity(workflow).python_interface.inputs
        given: dict[str, Any] = {"manifest": self.at("survey/manifest.csv"), **SMALL}
        chosen = {name: value for name, value in given.items() if name in kinds} | inputs
        made = {name: _typed(value, kinds[name]) for name, value in chosen.items()}
        return self.cluster.execute(plan, **made)

    def once(self, walk: str) -> Literals:
        """The outputs of one of the walks below; a second time it is not walked again."""
        if walk not in self.outputs:
            n_before = len(self.cluster.attempts)
            self.outputs[walk] = getattr(self, walk)()
            self.attempts[walk] = self.cluster.attempts[n_before:]
        return self.outputs[walk]

    def campaign_round(self) -> Literals:
        return self.walk(
            "workflows.campaign.campaign_round",
            votes=self.votes,
            model_name="small",
            output=self.at("round"),
            n_folds=2,
        )

    def promotion(self) -> Literals:
        """A second version is judged, appointed, and taken back; the first is champion after."""
        self.once("campaign_round")
        self.walk(
            "workflows.pretrain.pretrain_supervised",
            votes=self.votes,
            model_name="small",
            run={"training": {**TRAINING, "seed": 1}},
            # Another seed makes another comparison, for which the champion must be scored.
            metrics={"n_bootstrap": 20, "seed": 1},
        )
        self.walk("workflows.promotion.promote", model="small@challenger")
        self.walk("workflows.promotion.appoint", model="small@challenger", reason="to see it")
        return self.walk("workflows.promotion.roll_back", model_name="small", reason="seen")

    def pretrain_byol(self) -> Literals:
        return self.walk("workflows.pretrain.pretrain_byol")

    def pretrain_hybrid(self) -> Literals:
        self.once("pretrain_byol")
        return self.walk(
            "workflows.pretrain.pretrain_hybrid",
            votes=self.votes,
            start="galaxyloop-byol@challenger",
        )

    def night(self) -> Literals:
        self.once("campaign_round")
        return self.walk(
            "nightly_catalogue_sdss",
            model="small@champion",
            output=self.at("catalogue"),
            kickoff=KICKOFF,
        )

    def lineage(self) -> Literals:
        self.once("night")
        return self.walk(
            "workflows.lineage.trace_catalogue",
            product=self.at("catalogue/catalogue.parquet"),
            output=self.at("lineage"),
        )

    def check(self) -> Literals:
        self.once("night")
        return self.walk("weekly_check_sdss", output=self.at("catalogue"), kickoff=KICKOFF)

    def compaction(self) -> Literals:
        self.once("night")
        return self.walk("workflows.ingest.compact_survey", output=self.at("catalogue"))

    def representations(self) -> Literals:
        self.once("campaign_round")
        return self.walk(
            "workflows.embed.embed_survey", model="small@champion", output=self.at("embedded")
        )

    def selection(self) -> Literals:
        """Twice: the second one knows of the first."""
        self.once("campaign_round")
        earlier = f"{self.at('ask-next')}/ask_next.csv"
        for output, votes, asked_before in (
            ("ask-next", [], []),
            ("ask-next-2", self.votes, [earlier]),
        ):
            told = self.walk(
                "workflows.active_learning.select_next_galaxies",
                votes=votes,
                model="small@champion",
                output=self.at(output),
                batch={"n_galaxies": 10},
                subject_set={"image_size_px": 64},
                asked_before=asked_before,
            )
        return told

    def finetuning(self) -> Literals:
        self.once("campaign_round")
        return self.walk(
            "workflows.finetune.finetune_and_register",
            start="small@champion",
            labels=self.at("survey/labels.csv"),
            output=self.at("finetuned"),
        )

    def labels(self) -> Literals:
        self.once("finetuning")
        return self.walk("workflows.finetune.predict_labels", output=self.at("labels"))

    def study(self) -> Literals:
        path = self.survey.parent / "encoder.safetensors"
        save_file(build_encoder("resnet_mini").network.state_dict(), path)
        self.cluster.store.put(self.at("encoder.safetensors"), path.read_bytes())
        return self.walk(
            "workflows.label_efficiency.label_efficiency",
            votes=self.votes,
            labels=self.at("survey/labels.csv"),
            output=self.at("study"),
            study=small_study(self.at("encoder.safetensors")),
        )

    def scaling(self) -> Literals:
        return self.walk(
            "workflows.scaling.scaling_study",
            votes=self.votes,
            output=self.at("scaling"),
            study={
                "fractions": [0.4, 0.6, 0.8, 1.0],
                "n_seeds": 2,
                "run": {"training": TRAINING},
                "posterior": SMALL["posterior"],
                "laws": {"n_draws": 50},
            },
        )

    def loop(self) -> Literals:
        self.once("campaign_round")
        return self.walk(
            "workflows.active_learning.simulate_active_learning",
            votes=self.votes,
            model="small@champion",
            output=self.at("loop"),
            study={
                "n_start": 20,
                "n_asked": 5,
                "n_rounds": 1,
                "n_seeds": 1,
                "information": SMALL["information"],
                "head": {"n_members": 2, "hidden_width": 8, "n_samples": 2, "n_steps": 5},
            },
        )

    def fetching(self) -> Literals:
        rows = "".join(f"g{number},{number}.5,0.5\n" for number in range(3))
        content = f"id_str,ra_deg,dec_deg\n{rows}".encode()
        self.cluster.store.put(self.at("galaxies.csv"), content)
        with running_server() as server:
            return self.walk(
                "workflows.fetch.fetch_survey",
                galaxies=self.at("galaxies.csv"),
                service=quick_config(server, timeout_s=5),
                output=self.at("fetched"),
            )

    def groups(self) -> Literals:
        """Surveys of more chunks than one workflow maps over."""
        self.once("campaign_round")
        # Not the last attempts of all: another walk's survey may be one chunk.
        ran = {one.pod.task: one for one in self.attempts["campaign_round"]}
        chunks = _only(ran["tasks.ingest.list_chunks"].outputs)
        cutouts, ingest = self.typed_inputs("workflows.ingest.cut_out_chunks", "cutouts", "ingest")
        found = self.cluster.execute_task(
            "workflows.ingest.cut_out_chunks",
            chunks=chunks,
            cutouts=cutouts,
            ingest=ingest,
            group=1,
        )
        # What may be missing is a union; the tasks that follow take what is there.
        shards = listed(*(one.scalar.union.value for one in found["o0"].collection.literals))
        posterior, information = self.typed_inputs(
            "workflows.predict.predict_shards", "posterior", "information"
        )
        checkpoint = _only(ran["tasks.pretrain.pretrain_supervised"].outputs)
        predicted = self.cluster.execute_task(
            "workflows.predict.predict_shards",
            checkpoints=listed(checkpoint),
            shards=shards,
            posterior=posterior,
            information=information,
            group=1,
        )
        faults = self.cluster.execute_task("workflows.verify.verify_shards", shards=shards, group=1)
        return {"shards": shards, "predictions": predicted["o0"], "faults": _only(faults)}

    def typed_inputs(self, name: str, *inputs: str) -> list[Any]:
        """Some of the small settings as a task takes them."""
        kinds = find_entity(name).python_interface.inputs
        return [_typed(SMALL[one], kinds[one]) for one in inputs]


WALKS = (
    "campaign_round",
    "promotion",
    "pretrain_byol",
    "pretrain_hybrid",
    "night",
    "lineage",
    "check",
    "compaction",
    "representations",
    "selection",
    "finetuning",
    "labels",
    "study",
    "loop",
    "scaling",
    "fetching",
    "groups",
)


def small_study(weights: str) -> LabelEfficiencyConfig:
    """An arm of random weights and one of published ones; other walks pretrain."""
    config = simulated_config(1, ["random"], [20], [2], 1)
    finetune = FinetuneRun(
        encoder="resnet_mini", weights=weights, weights_mean=[0.5] * 3, weights_std=[0.25] * 3
    )
    published = ArmConfig("published", "published", kinds=["probe"], finetune=finetune)
    return LabelEfficiencyConfig.from_dict(
        config.to_dict() | {"arms": [arm.to_dict() for arm in (*config.arms, published)]}
    )


def _typed(value: object, kind: Any) -> object:  # noqa: ANN401 - of any type
    """Plain values as the config, or list of configs, that an input takes."""
    if isinstance(value, Mapping):
        return kind.from_dict(value)
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        (inner,) = kind.__args__
        return [inner.from_dict(one) for one in value]
    return value


def _only(outputs: Literals | None) -> Literal:
    """The output of a task that has one."""
    assert outputs is not None
    (literal,) = outputs.values()
    return literal
