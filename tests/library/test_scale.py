"""The cost model's tables follow from its rates, and are put where the document wants them."""

import json
from pathlib import Path

import pytest

from benchmarks import scale
from benchmarks.scale import BYTES_224_PX, RANGE_BYTES, Machine, n_gets

FIGURES = {
    "images_per_s_from_shard_efficientnet_b0_224_px": 50.0,
    "share_of_bare_encoder_from_shard_efficientnet_b0_224_px": {"median": 0.8},
    "rows_written_per_s": 100_000.0,
}


def write_results(folder: Path) -> Path:
    hardware = {"processor": "abacus", "torch_threads": 2, "n_cores": 2, "accelerator": None}
    cutouts = {"figures": {"images_per_second_from_424_px": 600.0}, "hardware": hardware}
    catalogue = {"figures": FIGURES, "hardware": hardware}
    (folder / "cutouts.json").write_text(json.dumps(cutouts))
    (folder / "catalogue.json").write_text(json.dumps(catalogue))
    return folder


def test_machines__are_measured_or_say_that_they_are_not(tmp_path: Path) -> None:
    rates = scale.read_rates(write_results(tmp_path))
    cores, accelerator = scale.machines(rates, tmp_path)
    assert cores.galaxies_per_s == pytest.approx(8 * 50 / 2)
    assert "measured on abacus" in cores.basis
    assert "estimated" in accelerator.name
    assert "estimate" in accelerator.basis
    # Checking 150 kB a galaxy at 0.93 GB/s is what bounds it; reading allows 2 GB/s.
    assert accelerator.galaxies_per_s == pytest.approx(0.93e9 / BYTES_224_PX)


def test_machines__take_the_result_of_a_gpu_where_there_is_one(tmp_path: Path) -> None:
    rates = scale.read_rates(write_results(tmp_path))
    figures = FIGURES | {"images_per_s_from_shard_efficientnet_b0_224_px": 4000.0}
    result = {"figures": figures, "hardware": {"accelerator": "some GPU"}}
    (tmp_path / "catalogue_gpu.json").write_text(json.dumps(result))
    _, accelerator = scale.machines(rates, tmp_path)
    assert accelerator.name == "some GPU, measured"
    assert accelerator.galaxies_per_s == 4000.0


def test_read_rates__says_how_to_get_a_result_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        SystemExit, match=r"catalogue\.json is missing; run .*benchmarks\.catalogue"
    ):
        scale.read_rates(tmp_path)


def test_n_gets__is_one_for_each_range_and_two_a_shard() -> None:
    assert n_gets(1000, 100) == -(-1000 * BYTES_224_PX // RANGE_BYTES) + 2 * 10


def test_cost_table__pays_for_at_least_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "SURVEYS", (2_000_000,))
    table = scale.cost_table(Machine("test", 100.0, 2.0, "given"))
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    assert [int(row[1]) for row in rows] == list(scale.N_MACHINES)
    for row in rows:
        arithmetic, simulated = float(row[2]), float(row[3].split()[0])
        paid, dollars = float(row[4]), float(row[5])
        assert simulated > arithmetic
        assert paid > 2_000_000 / 100 / 3600
        assert dollars == pytest.approx(2 * paid, rel=0.05)


def test_put_into__renews_what_is_between_the_marks() -> None:
    text = "before\n<!-- begin a -->\nold\n<!-- end a -->\nafter\n"
    renewed = scale.put_into(text, {"a": "| new |"})
    assert renewed == "before\n<!-- begin a -->\n| new |\n<!-- end a -->\nafter\n"
    assert scale.put_into(renewed, {"a": "| new |"}) == renewed
    empty = "<!-- begin a -->\n<!-- end a -->\n"
    assert scale.put_into(empty, {"a": "x"}) == "<!-- begin a -->\nx\n<!-- end a -->\n"
    with pytest.raises(SystemExit, match="needs one '<!-- begin b -->'"):
        scale.put_into(text, {"b": "x"})


def test_document__has_a_place_for_every_table() -> None:
    text = (Path(scale.__file__).parents[1] / "docs" / "scale.md").read_text(encoding="utf-8")
    for name in ("rates", "counts", "gpus", "cores", "sizes"):
        assert text.count(f"<!-- begin {name} -->") == text.count(f"<!-- end {name} -->") == 1
