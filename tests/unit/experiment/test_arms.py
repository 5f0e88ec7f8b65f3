"""Rounds of a comparison, from recordings made by formula."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from golden_recordings import Golden, Truth, arm_recordings, setup

from loadpath.drive import OpenLoad
from loadpath.experiment.arms import ArmPair, arm_pairs, compare_arms, too_disturbed
from loadpath.recording import Recording
from loadpath.stats.compare import Verdict


def ramp(
    folder: Path, letter: str, round_: int, capacity_per_s: float = 1000.0, **how: object
) -> Recording:
    """One arm's recording, with a ramp from 500 to 1500/s."""
    name = f"{letter}-{round_}"
    golden = Golden(folder, setup(), Truth(capacity_per_s=capacity_per_s), name=name)
    load = OpenLoad(rate_per_s=500.0, end_rate_per_s=1500.0)
    golden.drive("arm-ramp", load, duration_s=10.0, arm=letter, round=round_, **how)
    return golden.recording()


def test_rounds_are_paired_in_order_whatever_ran_first(tmp_path: Path) -> None:
    capacities = [(900.0, 1200.0), (1000.0, 1300.0)]
    recordings = arm_recordings(tmp_path, setup(), capacities, Truth())
    first, second = arm_pairs(list(reversed(recordings)), "arm-ramp")
    knees = [capacity - 92.1 for pair in capacities for capacity in pair]
    assert [first.baseline, first.treatment, second.baseline, second.treatment] == pytest.approx(
        knees, rel=0.1
    )
    assert not first.censored


def test_half_a_round_is_none(tmp_path: Path) -> None:
    recordings = [ramp(tmp_path, "A", 0), ramp(tmp_path, "B", 0), ramp(tmp_path, "B", 1)]
    assert len(arm_pairs(recordings, "arm-ramp")) == 1
    assert arm_pairs(recordings, "another purpose") == []
    assert compare_arms(arm_pairs(recordings[:1], "arm-ramp")) is None


def test_an_arm_that_never_missed_gives_a_lower_bound(tmp_path: Path) -> None:
    recordings = [ramp(tmp_path, "A", 0), ramp(tmp_path, "B", 0, capacity_per_s=4000.0)]
    (pair,) = arm_pairs(recordings, "arm-ramp")
    assert pair.censored
    assert pair.treatment == pytest.approx(1500)
    assert pair.is_at_least


def test_windows_missed_at_the_very_end_are_no_part_of_that_bound(tmp_path: Path) -> None:
    # A queue that builds from 1,250/s on is too short at 1,500/s to be told from a hiccup.
    slow = ramp(tmp_path, "B", 0, capacity_per_s=1430.0)
    (pair,) = arm_pairs([ramp(tmp_path, "A", 0), slow], "arm-ramp")
    assert pair.censored
    assert pair.treatment < 1450


def test_what_missed_in_both_arms_is_no_bound(tmp_path: Path) -> None:
    recordings = [ramp(tmp_path, "A", 0), ramp(tmp_path, "B", 0, capacity_per_s=1200.0)]
    (pair,) = arm_pairs(recordings, "arm-ramp")
    assert not pair.is_at_least


def test_what_else_took_the_machine_is_told_of_either_arm(tmp_path: Path) -> None:
    recordings = [
        ramp(tmp_path, "A", 0),
        ramp(tmp_path, "B", 0, others_cores=0.4),
        ramp(tmp_path, "A", 1, others_cores=0.3),
        ramp(tmp_path, "B", 1),
        ramp(tmp_path, "A", 2),
        ramp(tmp_path, "B", 2),
    ]
    assert [pair.disturbed for pair in arm_pairs(recordings, "arm-ramp")] == [
        "other processes took 0.40 cores",
        "other processes took 0.30 cores",
        None,
    ]


class TestComparing:
    def pairs(self, *ratios: float) -> list[ArmPair]:
        return [ArmPair(1000.0 + i, (1000.0 + i) * r, False) for i, r in enumerate(ratios)]

    def test_a_gain_in_every_round_is_better(self) -> None:
        found = compare_arms(self.pairs(1.30, 1.35, 1.32))
        assert found is not None
        assert found.verdict is Verdict.BETTER
        assert found.rounds == 3
        assert found.ratio.value == pytest.approx(1.323, abs=0.001)

    def test_a_loss_is_worse(self) -> None:
        found = compare_arms(self.pairs(0.80, 0.82, 0.81))
        assert found is not None
        assert found.verdict is Verdict.WORSE

    def test_a_single_round_cannot_tell(self) -> None:
        found = compare_arms(self.pairs(2.0))
        assert found is not None
        assert found.verdict is Verdict.CANNOT_TELL

    def test_disturbed_rounds_are_left_out_where_two_clean_ones_remain(self) -> None:
        odd = ArmPair(1000.0, 300.0, False, "other processes took 0.90 cores")
        found = compare_arms([*self.pairs(1.30, 1.32), odd])
        assert found is not None
        assert (found.rounds, found.verdict) == (2, Verdict.BETTER)
        found = compare_arms([*self.pairs(1.30), odd])
        assert found is not None
        assert (found.rounds, found.verdict) == (2, Verdict.CANNOT_TELL)

    def test_rounds_that_agree_are_known_no_finer_than_a_ramp_is_read(self) -> None:
        pairs = [msgspec.structs.replace(p, step=1.14) for p in self.pairs(1.95, 1.95, 1.95)]
        found = compare_arms(pairs)
        assert found is not None
        # All began alike, so all may be off by nearly a window: more of them do not help.
        assert (found.ratio.low, found.ratio.high) == pytest.approx((1.76, 2.16), abs=0.01)
        assert found.verdict is Verdict.BETTER
        found = compare_arms(pairs, shifted=True)
        assert found is not None
        assert (found.ratio.low, found.ratio.high) == pytest.approx((1.84, 2.07), abs=0.01)

    def test_rounds_that_were_disturbed_little_count_and_widen_it(self) -> None:
        little = [
            msgspec.structs.replace(
                pair, disturbed="other processes took 0.10 cores", taken_cores=0.1
            )
            for pair in self.pairs(1.30, 1.31, 1.30)
        ]
        found, clean = compare_arms(little), compare_arms(self.pairs(1.30, 1.31, 1.30))
        assert found is not None
        assert clean is not None
        assert found.verdict is Verdict.BETTER
        # Either arm may have lost up to a fifth.
        assert found.ratio.low == pytest.approx(1.30 * 0.8, rel=0.01)
        assert found.ratio.value == clean.ratio.value
        assert too_disturbed(little) is None
        small = [msgspec.structs.replace(p, treatment=1.1 * p.baseline) for p in little]
        assert (verdict := compare_arms(small)) is not None
        assert verdict.verdict is Verdict.CANNOT_TELL

    def test_three_rounds_of_which_one_was_disturbed_little_tell_more_than_two(self) -> None:
        """Two rounds 16 % apart have an interval from a half to four times."""
        two = self.pairs(1.36, 1.59)
        wide = compare_arms(two)
        assert wide is not None
        assert wide.ratio.high / wide.ratio.low > 5
        (third,) = self.pairs(1.45)
        little = msgspec.structs.replace(
            third, disturbed="other processes took 0.05 cores", taken_cores=0.05
        )
        found = compare_arms([*two, little])
        assert found is not None
        assert found.rounds == 3
        assert found.ratio.high / found.ratio.low < 2
        much = msgspec.structs.replace(little, taken_cores=0.4)
        assert compare_arms([*two, much]) == wide

    def test_no_rounds_are_no_comparison(self) -> None:
        assert compare_arms([]) is None


class TestTooDisturbed:
    CLEAN = ArmPair(1000.0, 1300.0, False)
    NOISY = ArmPair(1000.0, 1300.0, False, "other processes took 0.70 cores")
    UNMISSED = ArmPair(1000.0, 1300.0, True, None, True)

    def test_two_clean_rounds_suffice(self) -> None:
        assert too_disturbed([self.CLEAN, self.NOISY, self.CLEAN]) is None
        assert too_disturbed([self.CLEAN]) is None
        assert too_disturbed([]) is None

    def test_with_fewer_it_says_what_disturbed_and_how_often(self) -> None:
        said = too_disturbed([self.CLEAN, self.NOISY, self.NOISY])
        assert said == "other processes took 0.70 cores in 2 of 3 rounds of one worker more"

    def test_a_round_that_tells_nothing_does_not_count_as_clean(self) -> None:
        assert too_disturbed([self.CLEAN, self.NOISY, self.UNMISSED]) is not None
