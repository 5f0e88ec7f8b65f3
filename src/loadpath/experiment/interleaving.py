"""Arms run in turn, A B B A, each from the same restored data, until enough rounds were clean."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

from loadpath.events import Warned
from loadpath.experiment.arm import Arm, open_arm
from loadpath.experiment.phase import Phase
from loadpath.experiment.session import Session
from loadpath.spec import Setup
from loadpath.stats.compare import interleaved


async def interleave(
    session: Session,
    arms: Mapping[str, Setup],
    drive: Callable[[Arm, str, int], Awaitable[str | None]],
    *,
    rounds: int,
    repeats: int,
    round_s: float,
    now: Phase,
    name: Callable[[str], str],
    enough: Callable[[], bool] = lambda: False,
    least: int = 0,
    of_round: Callable[[Setup, int], Setup] = lambda setup, number: setup,
) -> int:
    """Drive every arm once a round, every other round in the opposite order; how many were clean.

    So each is early as often as late, and what drifts slowly falls on all alike. `drive` puts load
    on an arm, of the letter, in a round, and says what disturbed it, or None; a round with a
    disturbed arm is repeated, up to `repeats` times in all. It ends after `rounds` clean ones, when
    `enough` says so after a round, and when the session has less time left than the last round took
    (`round_s` the first), but not before `least` rounds. `name` of a letter is what its recordings
    are called, `of_round` what is made of a setup in a round, alike for all arms; `now` is told how
    it ended.
    """
    clean = 0
    order = interleaved(rounds + repeats, tuple(arms))
    for number in range(rounds + repeats):
        if clean == rounds:
            break
        if number >= least and session.left_s() < round_s:
            now.result = f"the budget ended it after {clean} clean rounds"
            break
        disturbed = None
        began_s = time.monotonic()
        for letter in order[number * len(arms) : (number + 1) * len(arms)]:
            called = f"{name(letter)}-round-{number + 1}"
            setup = of_round(arms[letter], number)
            async with open_arm(session, setup, called, arm=letter, round_=number) as arm:
                disturbed = await drive(arm, letter, number) or disturbed
        round_s = time.monotonic() - began_s
        if disturbed is None:
            clean += 1
        elif number + 1 < rounds + repeats:
            session.emit(Warned(at_s=time.time(), message=f"one more round: {disturbed}"))
        if enough():
            break
    return clean
