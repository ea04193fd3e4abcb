"""The predictions of a survey on a cluster, event by event: what arithmetic leaves out.

A scheduler hands shards to GPUs. A GPU must first be started; every shard runs in a fresh pod that
starts, loads the weights and then predicts. Attempts fail and are tried again, some run slowly,
and machines are taken away in the middle, with what they were doing. Shards come in groups, each
a workflow of its own, of which few run at once. Times are in seconds.
"""

import heapq
import math
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

_FATES_A_SHARD = 8


@dataclass(frozen=True)
class Cluster:
    """Machines, and what goes wrong with them; all of it is an assumption to be replaced."""

    n_gpus: int = 16
    """GPUs, each a machine of its own."""
    galaxies_per_s: float = 10_000.0
    """Rate of the job on one of them, once it runs."""
    machine_start_s: float = 240.0
    """From asking for a machine to its first pod."""
    pod_start_s: float = 40.0
    """Scheduling, imports, weights to the GPU: paid by every attempt."""
    failing_share: float = 0.01
    """Attempts that fail, at any moment of theirs."""
    n_retries: int = 3
    """Attempts after the first; beyond them the shard is missing."""
    slow_share: float = 0.02
    """Attempts that run slowly."""
    slow_factor: float = 4.0
    """How many times longer they run."""
    mean_life_s: float = 6 * 3600.0
    """Mean time to a machine being taken away; infinite for machines of one's own."""
    release_s: float = 600.0
    """A machine that is idle is paid for this much longer."""
    shards_a_group: int = 1000
    """Map items of one workflow."""
    groups_at_once: int = 25
    """Workflows that run at the same time."""
    group_start_s: float = 30.0
    """From a workflow's turn to its first pods."""

    def ideal(self) -> "Cluster":
        """The same machines, started, and nothing going wrong."""
        starts = dict.fromkeys(
            ("machine_start_s", "pod_start_s", "group_start_s", "release_s"), 0.0
        )
        return replace(self, failing_share=0.0, slow_share=0.0, mean_life_s=math.inf, **starts)


@dataclass
class Outcome:
    """What became of the shards, and what the machines did with their time [s of one machine].

    ``n_done + n_missing`` are all shards, ``n_attempts = n_done + n_failures + n_preemptions``, and
    ``held_s`` is the sum of the times after it.
    """

    n_shards: int
    end_s: float = 0.0
    """When the last shard was done or given up."""
    n_done: int = 0
    n_missing: int = 0
    n_attempts: int = 0
    n_failures: int = 0
    n_preemptions: int = 0
    held_s: float = 0.0
    """Paid for."""
    work_s: float = 0.0
    """Predicting what was kept, at full speed."""
    slow_s: float = 0.0
    """Longer because of slowness."""
    start_s: float = 0.0
    """Machines and the pods of attempts that were kept."""
    lost_s: float = 0.0
    """Attempts that failed or lost their machine."""
    idle_s: float = 0.0
    """Waiting for shards, or for being released."""


@dataclass
class _Machine:
    """One GPU: since when it is paid for, until when it lives, when it last worked."""

    asked_s: float
    dies_s: float
    idle_since_s: float


@dataclass
class _Attempt:
    """A shard on a machine."""

    shard: int
    number: int
    start_s: float
    end_s: float
    is_slow: bool
    fails: bool
    is_lost: bool


@dataclass(order=True)
class _Event:
    """Something that happens; of two at one moment, the one planned first."""

    time_s: float
    order: int
    kind: str = field(compare=False)
    number: int = field(compare=False)
    """Of the machine or the group."""


class _Fates:
    """What would befall each attempt: drawn beforehand, so that no other setting changes it."""

    def __init__(self, n_shards: int, cluster: Cluster, seed: int) -> None:
        generator = np.random.default_rng([seed, 1])
        shape = (n_shards, _FATES_A_SHARD)
        self.fails = generator.random(shape) < cluster.failing_share
        self.fails_at = generator.random(shape)
        self.is_slow = generator.random(shape) < cluster.slow_share
        self._lives = np.random.default_rng([seed, 2])
        self._mean_life_s = cluster.mean_life_s

    def life_s(self) -> float:
        """How long the next machine lives."""
        if math.isinf(self._mean_life_s):
            return math.inf
        return float(self._lives.exponential(self._mean_life_s))


def shard_sizes(n_galaxies: int, shard_size: int) -> npt.NDArray[np.int64]:
    """Full shards, and what is left over."""
    n_full, rest = divmod(n_galaxies, shard_size)
    return np.array([shard_size] * n_full + [rest] * (rest > 0), dtype=np.int64)


def simulate(n_galaxies: int, shard_size: int, cluster: Cluster, seed: int = 0) -> Outcome:
    """Predict a survey.

    Args:
        n_galaxies: of the survey, >= 1.
        shard_size: galaxies a shard; the last may have fewer.
        cluster: machines and their faults.
        seed: equal seeds give equal runs.
    """
    return _Simulation(shard_sizes(n_galaxies, shard_size), cluster, seed).run()


class _Simulation:
    """The state between two events."""

    def __init__(self, sizes: npt.NDArray[np.int64], cluster: Cluster, seed: int) -> None:
        self.cluster = cluster
        self.work_s: list[float] = (sizes / cluster.galaxies_per_s).tolist()
        self.fates = _Fates(len(sizes), cluster, seed)
        self.outcome = Outcome(len(sizes))
        self.machines: dict[int, _Machine] = {}
        self.running: dict[int, _Attempt] = {}
        self.free: list[int] = []
        self.retries: deque[tuple[int, int]] = deque()
        self.fresh: deque[tuple[int, int]] = deque()
        self.n_failures = [0] * len(sizes)
        n_groups = math.ceil(len(sizes) / cluster.shards_a_group)
        self.groups = np.array_split(np.arange(len(sizes)), n_groups)
        self.left_in_group = [len(group) for group in self.groups]
        self.group_of = np.repeat(np.arange(n_groups), self.left_in_group)
        self.next_group = 0
        self.events: list[_Event] = []
        self._order = 0

    def run(self) -> Outcome:
        """Event after event until nothing is left to happen."""
        for _ in range(min(self.cluster.groups_at_once, len(self.groups))):
            self._open_group(0.0)
        # No more machines are asked for than there are shards.
        for machine in range(min(self.cluster.n_gpus, len(self.work_s))):
            self._ask_for_machine(machine, 0.0)
        while self.events:
            event = heapq.heappop(self.events)
            if event.kind == "group":
                self.fresh.extend((int(shard), 0) for shard in self.groups[event.number])
            elif event.kind == "machine":
                self.machines[event.number].idle_since_s = event.time_s
                heapq.heappush(self.free, event.number)
            else:
                self._end_attempt(event.number, event.time_s)
            self._assign(event.time_s)
        for machine in list(self.machines):
            self._release(machine)
        return self.outcome

    def _plan(self, time_s: float, kind: str, number: int) -> None:
        """Let something happen."""
        self._order += 1
        heapq.heappush(self.events, _Event(time_s, self._order, kind, number))

    def _open_group(self, now_s: float) -> None:
        """The next workflow's turn, if there is one."""
        if self.next_group < len(self.groups):
            self._plan(now_s + self.cluster.group_start_s, "group", self.next_group)
            self.next_group += 1

    def _ask_for_machine(self, number: int, now_s: float) -> None:
        """A machine, paid for from now, that lives some time from its start on."""
        start_s = now_s + self.cluster.machine_start_s
        self.machines[number] = _Machine(now_s, start_s + self.fates.life_s(), start_s)
        self.outcome.start_s += self.cluster.machine_start_s
        self._plan(start_s, "machine", number)

    def _assign(self, now_s: float) -> None:
        """Give shards to free machines: those tried before first, for they hold their slot."""
        while self.free and (self.retries or self.fresh):
            number = heapq.heappop(self.free)
            machine = self.machines[number]
            until_s = min(machine.dies_s, machine.idle_since_s + self.cluster.release_s)
            if until_s < now_s:
                self._take_away(number, until_s, now_s)
                continue
            shard, attempt = (self.retries or self.fresh).popleft()
            self._start_attempt(number, shard, attempt, now_s)

    def _start_attempt(self, number: int, shard: int, attempt: int, now_s: float) -> None:
        """A shard begins on a machine; how it will end is known to its fate alone."""
        cluster, machine = self.cluster, self.machines[number]
        fate = shard, attempt % _FATES_A_SHARD
        is_slow, fails = bool(self.fates.is_slow[fate]), bool(self.fates.fails[fate])
        duration = self.work_s[shard] * (cluster.slow_factor if is_slow else 1.0)
        duration += cluster.pod_start_s
        if fails:
            duration *= float(self.fates.fails_at[fate])
        end_s = now_s + duration
        is_lost = machine.dies_s < end_s
        end_s = min(end_s, machine.dies_s)
        self.outcome.idle_s += now_s - machine.idle_since_s
        self.outcome.n_attempts += 1
        self.running[number] = _Attempt(shard, attempt, now_s, end_s, is_slow, fails, is_lost)
        self._plan(end_s, "end", number)

    def _end_attempt(self, number: int, now_s: float) -> None:
        """Book the attempt; the shard is done, tried again or given up."""
        attempt, outcome = self.running.pop(number), self.outcome
        self.machines[number].idle_since_s = now_s
        if attempt.is_lost or attempt.fails:
            outcome.lost_s += now_s - attempt.start_s
            outcome.n_preemptions += attempt.is_lost
            outcome.n_failures += not attempt.is_lost
            self.n_failures[attempt.shard] += not attempt.is_lost
        else:
            work_s = self.work_s[attempt.shard]
            outcome.work_s += work_s
            outcome.start_s += self.cluster.pod_start_s
            outcome.slow_s += now_s - attempt.start_s - self.cluster.pod_start_s - work_s
            outcome.n_done += 1
        is_given_up = self.n_failures[attempt.shard] > self.cluster.n_retries
        outcome.n_missing += int(is_given_up)
        if (attempt.is_lost or attempt.fails) and not is_given_up:
            self.retries.append((attempt.shard, attempt.number + 1))
        else:
            self._finish_shard(attempt.shard, now_s)
        if attempt.is_lost:
            self._take_away(number, now_s, now_s)
        else:
            heapq.heappush(self.free, number)

    def _finish_shard(self, shard: int, now_s: float) -> None:
        """One fewer in its group; a group that is through makes room for the next."""
        self.outcome.end_s = now_s
        group = int(self.group_of[shard])
        self.left_in_group[group] -= 1
        if not self.left_in_group[group]:
            self._open_group(now_s)

    def _take_away(self, number: int, died_s: float, now_s: float) -> None:
        """A machine is gone and paid for until then; another is asked for in its place."""
        machine = self.machines[number]
        self.outcome.held_s += died_s - machine.asked_s
        self.outcome.idle_s += died_s - machine.idle_since_s
        self._ask_for_machine(number, now_s)

    def _release(self, number: int) -> None:
        """A machine without work is paid for a little longer."""
        machine = self.machines[number]
        until_s = min(machine.idle_since_s + self.cluster.release_s, machine.dies_s)
        self.outcome.held_s += until_s - machine.asked_s
        self.outcome.idle_s += until_s - machine.idle_since_s
