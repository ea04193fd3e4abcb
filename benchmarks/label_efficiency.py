"""Does pretraining pay where labels are few? The study on real galaxies, or a small simulated one.

``--data FOLDER`` takes the folder of ``examples.real_rings`` and asks for rings. Every finished
cell is a line of the table ``--results``; a run goes on from what is there. ``--quick`` asks for
bars of simulated galaxies, with fewer arms, labels and draws, in a table of its own.
Run on a quiet machine, for the minutes that the table gives are the processor's.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch

from benchmarks.harness import RESULTS, Gate, at_least, at_most, finish
from galaxyloop import cutouts, surveys, vote_tables
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.finetuning.labels import read_labels
from galaxyloop.label_efficiency.arms import arms_with_starts, standard_arms
from galaxyloop.label_efficiency.config import LabelEfficiencyConfig
from galaxyloop.label_efficiency.data import StudyData, prepare_study, save_study
from galaxyloop.label_efficiency.gates import judge_study
from galaxyloop.label_efficiency.progress import StudyPlaces
from galaxyloop.label_efficiency.report import write_report
from galaxyloop.label_efficiency.simulated import simulate_study, simulated_config
from galaxyloop.label_efficiency.study import run_study
from galaxyloop.label_efficiency.summary import summarise_cells
from galaxyloop.label_efficiency.table import PRETRAINING_COLUMNS, read_rows
from galaxyloop.shards import CutoutCollection, CutoutShard
from galaxyloop.surveys import IngestConfig
from galaxyloop.synthetic import SimulationConfig
from galaxyloop.vote_tables import VotesConfig, VoteSource

CELLS = RESULTS / "label_efficiency" / "cells.csv"
WORK = Path(".galaxyloop") / "label_efficiency"
SIMULATED = SimulationConfig(n_galaxies=1600, image_size_px=64, n_broken_images=0)
QUICK_PRETRAINED = ("supervised_gz2", "hybrid_gz2")
MAX_CPU_MINUTES = 100


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small simulated study")
    parser.add_argument("--data", type=Path, help="folder of real galaxies")
    parser.add_argument("--results", type=Path, help=f"table of cells (default {CELLS})")
    parser.add_argument("--work", type=Path, default=WORK, help=f"checkpoints (default {WORK})")
    parser.add_argument("--arms", nargs="+", default=[], help="only these arms")
    parser.add_argument("--draws", type=int, default=5, help="draws of labels")
    parser.add_argument("--published", nargs=2, metavar=("NAME", "FILE"), help="timm name, weights")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/<name>.json")
    options = parser.parse_args()
    if options.quick == bool(options.data):
        parser.error("give --quick, or --data with the folder of real galaxies")
    if options.save and (options.quick or options.arms):
        parser.error("--save is for the whole study: leave out --quick and --arms")
    torch.set_num_threads(1)
    return options


def real_study(folder: Path, scratch: Path, config: LabelEfficiencyConfig) -> StudyData:
    """Images and tables of the real galaxies."""
    from examples.real_rings import write_rings
    from schemas.votes import judge_votes

    inputs = write_rings(folder, scratch / "rings")
    ingest = IngestConfig.from_dict(inputs["ingest"])
    manifest = surveys.read_manifest(inputs["manifest"], ingest)
    version = surveys.version_survey(manifest.galaxies, ingest, None, scratch / "survey")
    shards = []
    for digest in version.chunks:
        place = scratch / "shards" / digest
        settings = CutoutConfig.from_dict(inputs["cutouts"])
        cutouts.cut_out_chunk(version.read_chunk(digest), settings, place)
        shards.append(CutoutShard.open(place))
    gz2 = [VoteSource.from_dict(source) for source in inputs["votes"]]
    both = [*gz2, *(VoteSource.from_dict(source) for source in inputs["further_votes"])]
    votes = {}
    for name, sources in (("gz2", gz2), ("gz2_efigi", both)):
        vote_tables.read_vote_table(sources, VotesConfig(), scratch / name, judge_votes)
        votes[name] = (
            vote_tables.load_votes(scratch / name),
            vote_tables.load_vote_tree(scratch / name),
        )
    labels = read_labels(inputs["labels"])
    collection = CutoutCollection(shards, version.alive)
    return prepare_study(collection, version.galaxies, labels, votes, config)


def real_config(options: argparse.Namespace) -> LabelEfficiencyConfig:
    """All arms, or those asked for."""
    published = options.published and (options.published[0], Path(options.published[1]))
    arms = standard_arms(published=published)
    chosen = arms_with_starts(arms, options.arms) if options.arms else arms
    return LabelEfficiencyConfig(arms=chosen, n_draws=options.draws)


def quick_config(options: argparse.Namespace) -> LabelEfficiencyConfig:
    """Three arms, two numbers of labels, two draws."""
    arms = options.arms or ["direct", *QUICK_PRETRAINED]
    return simulated_config(8, arms, [50, 100], [40, 60], n_draws=2)


def quick_gates(summary: pd.DataFrame) -> list[Gate]:
    """Of the simulated study: pretraining on votes beats none at 100 labels."""
    finetuned = summary[(summary["kind"] == "finetune") & (summary["n_labels"] == 100)]
    auc = finetuned.set_index("arm")["auc"].reindex(["direct", *QUICK_PRETRAINED])
    return [
        at_least(f"auc of {arm} less direct at 100 labels", float(auc[arm] - auc["direct"]), 0.0)
        for arm in QUICK_PRETRAINED
    ]


def report(
    results: pd.DataFrame, config: LabelEfficiencyConfig, places: StudyPlaces
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write tables and figure beside the table of cells; summary and pretrainings."""
    told, _ = write_report(results, config, places.cells.parent)
    print(told)
    used = set(results["checkpoint_digest"])
    rows = pd.DataFrame(
        read_rows(places.pretrainings, PRETRAINING_COLUMNS), columns=list(PRETRAINING_COLUMNS)
    )
    made = rows[rows["checkpoint_digest"].isin(used)].drop_duplicates("arm", keep="last")
    summary = summarise_cells(results, config)
    return summary, made.astype(
        dict.fromkeys(("cpu_minutes", "feature_std", "effective_rank"), float)
    )


def main() -> None:
    """Run what is missing, report, judge."""
    options = parse()
    config = quick_config(options) if options.quick else real_config(options)
    with tempfile.TemporaryDirectory() as scratch:
        default = Path(scratch) / "cells.csv" if options.quick else CELLS
        cells = (options.results or default).resolve()
        work = Path(scratch) / "work" if options.quick else options.work
        places = StudyPlaces(Path(scratch) / "study", work, cells)
        if options.quick:
            data = simulate_study(SIMULATED, config)
        else:
            data = real_study(options.data, Path(scratch), config)
        save_study(data, places.data)
        preparation = time.process_time() / 60
        results = run_study(config, places, options.workers)
        summary, made = report(results, config, places)
    minutes = float(preparation + made["cpu_minutes"].sum() + results["cpu_seconds"].sum() / 60)
    figures: dict[str, object] = {
        "galaxies": "simulated" if options.quick else "real (--data FOLDER)",
        "cpu_minutes": minutes,
        "cpu_minutes_of_preparation": preparation,
        "cpu_minutes_of_cells": results.groupby("arm")["cpu_seconds"].sum().div(60).to_dict(),
        "cpu_minutes_by_pretraining": dict(zip(made["arm"], made["cpu_minutes"], strict=True)),
        "n_cells": len(results),
        "n_test": int(results["n_test"].max()),
        "n_pool": len(data.pool),
        "auc": _by_row(summary, "auc"),
        "balanced_accuracy": _by_row(summary, "balanced_accuracy"),
    }
    gates = quick_gates(summary) if options.quick else []
    if not options.quick:
        judged = judge_study(results, made, config)
        figures["aims"] = judged[~judged["is_required"]].round(4).to_dict("records")
        required = judged[judged["is_required"]].to_dict("records")
        gates = [at_least(str(row["gate"]), row["value"], row["bound"]) for row in required]
        gates.append(at_most("cpu_minutes", minutes, MAX_CPU_MINUTES))
    finish("label_efficiency", figures, gates, options)


def _by_row(summary: pd.DataFrame, metric: str) -> dict[str, float]:
    """Means by arm, kind and number of labels."""
    known = summary.dropna(subset=[metric])
    return {
        f"{r.arm} {r.kind} {r.n_labels}": round(float(getattr(r, metric)), 4)
        for r in known.itertuples()
    }


if __name__ == "__main__":
    main()
