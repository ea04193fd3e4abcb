"""The simulated cluster keeps the laws that arithmetic gives it, and adds up."""

import math
from dataclasses import replace

import pytest

from benchmarks.scale_simulation import Cluster, Outcome, shard_sizes, simulate

FAULTY = Cluster(n_gpus=7, galaxies_per_s=100.0, failing_share=0.2, n_retries=1, mean_life_s=1200.0)
N_GALAXIES, SHARD_SIZE = 123_456, 1000


def times_add_up(outcome: Outcome) -> bool:
    parts = outcome.work_s, outcome.slow_s, outcome.start_s, outcome.lost_s, outcome.idle_s
    return math.isclose(sum(parts), outcome.held_s, rel_tol=1e-9) and min(parts) >= -1e-6


@pytest.mark.parametrize("n_gpus", [1, 3, 16, 500])
@pytest.mark.parametrize("shards_a_group", [10, 1000])
def test_simulate__without_faults_is_arithmetic_within_one_shard(
    n_gpus: int, shards_a_group: int
) -> None:
    cluster = replace(FAULTY, n_gpus=n_gpus, shards_a_group=shards_a_group, groups_at_once=60)
    outcome = simulate(N_GALAXIES, SHARD_SIZE, cluster.ideal())
    expected_s = N_GALAXIES / cluster.galaxies_per_s / n_gpus
    one_shard_s = SHARD_SIZE / cluster.galaxies_per_s
    assert expected_s - 1e-6 <= outcome.end_s <= expected_s + one_shard_s
    assert outcome.work_s == pytest.approx(N_GALAXIES / cluster.galaxies_per_s)
    assert outcome.held_s == pytest.approx(outcome.work_s)


def test_simulate__every_shard_is_done_or_missing_and_every_second_is_booked() -> None:
    for seed in range(5):
        outcome = simulate(N_GALAXIES, SHARD_SIZE, FAULTY, seed)
        assert outcome.n_shards == len(shard_sizes(N_GALAXIES, SHARD_SIZE)) == 124
        assert outcome.n_done + outcome.n_missing == outcome.n_shards
        tried = outcome.n_done + outcome.n_failures + outcome.n_preemptions
        assert outcome.n_attempts == tried
        assert outcome.n_missing > 0
        assert outcome.n_preemptions > 0
        assert times_add_up(outcome)


def test_simulate__more_machines_are_never_slower() -> None:
    # Slow attempts but no failures: with retries a longer list in another order can end later.
    cluster = replace(FAULTY, failing_share=0.0, slow_share=0.1, mean_life_s=math.inf)
    ends = [
        simulate(N_GALAXIES, SHARD_SIZE, replace(cluster, n_gpus=n_gpus)).end_s
        for n_gpus in range(1, 40)
    ]
    assert ends == sorted(ends, reverse=True)
    assert ends[0] > 10 * ends[-1]


def test_simulate__more_machines_with_faults_are_slower_by_one_attempt_at_most() -> None:
    longest_s = 4 * SHARD_SIZE / FAULTY.galaxies_per_s + FAULTY.pod_start_s
    cluster = replace(FAULTY, mean_life_s=math.inf)
    ends = [
        simulate(N_GALAXIES, SHARD_SIZE, replace(cluster, n_gpus=n_gpus)).end_s
        for n_gpus in range(1, 40)
    ]
    assert all(later <= end + longest_s for end, later in zip(ends, ends[1:], strict=False))


def test_simulate__retries_leave_as_few_missing_as_probability_says() -> None:
    cluster = replace(FAULTY, failing_share=0.3, n_retries=1, mean_life_s=math.inf)
    outcome = simulate(20_000 * 10, 10, cluster)
    expected, deviation = 20_000 * 0.09, math.sqrt(20_000 * 0.09 * 0.91)
    assert abs(outcome.n_missing - expected) < 4 * deviation
    assert simulate(1000, 10, replace(cluster, failing_share=1.0)).n_missing == 100


def test_simulate__lives_of_machines_end_as_often_as_their_mean_says() -> None:
    cluster = replace(FAULTY, failing_share=0.0, slow_share=0.0, mean_life_s=2000.0)
    outcome = simulate(2_000_000, SHARD_SIZE, cluster)
    alive_s = outcome.held_s - FAULTY.machine_start_s * (7 + outcome.n_preemptions)
    expected = alive_s / 2000.0
    assert abs(outcome.n_preemptions - expected) < 4 * math.sqrt(expected)


def test_simulate__groups_one_after_another_wait_for_their_last_shard() -> None:
    cluster = replace(FAULTY.ideal(), n_gpus=4, shards_a_group=5, groups_at_once=1)
    # Five shards on four machines take two rounds of 10 s; four groups.
    assert simulate(20 * SHARD_SIZE, SHARD_SIZE, cluster).end_s == pytest.approx(80.0)
    together = replace(cluster, groups_at_once=2)
    assert simulate(20 * SHARD_SIZE, SHARD_SIZE, together).end_s == pytest.approx(50.0)


def test_simulate__is_repeatable_and_asks_for_no_more_machines_than_shards() -> None:
    assert simulate(N_GALAXIES, SHARD_SIZE, FAULTY, 3) == simulate(
        N_GALAXIES, SHARD_SIZE, FAULTY, 3
    )
    single = simulate(500, SHARD_SIZE, replace(FAULTY.ideal(), n_gpus=64, machine_start_s=100.0))
    assert single.held_s == pytest.approx(105.0)
