"""What is kept of each case on disk: a folder an attempt, the prediction first, nothing rewritten.

`NAME/1/prediction.json` is written before anything of the change runs, and its digest. What was
measured names that digest, so that a prediction which was changed afterwards is found out.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from loadpath.experiment.measured import Measurement
from loadpath.questions.forecast import Forecast, decode, encode
from loadpath.questions.scores import Score

PREDICTION, DIGEST, MEASURED = "prediction.json", "prediction.sha256", "measured.json"


class TamperedError(Exception):
    """A prediction is not the one that was measured against."""


class Foretold(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction. `made_s` is Unix time, `commit` that of the code that predicted, `taken_cores`
    what others took while its model was recorded, `gives_out` what is named to give out first."""

    case: str
    changes: tuple[str, ...]
    commit: str
    made_s: float
    model_run: str
    taken_cores: float
    gives_out: tuple[str, ...]
    forecast: Forecast


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `digest` is that of the prediction, `began_s` and `ended_s` Unix time;
    `gave_out` is None where nothing was seen to be full; `why_not`: what disturbed it."""

    case: str
    digest: str
    began_s: float
    ended_s: float
    machine: str
    taken_cores: float
    measurement: Measurement | None
    scores: tuple[Score, ...]
    gave_out: str | None
    why_not: str | None


class Attempt(msgspec.Struct, frozen=True):
    """One time that a case was tried."""

    folder: Path

    @property
    def number(self) -> int:
        """The first is 1."""
        return int(self.folder.name)

    def write_foretold(self, foretold: Foretold) -> str:
        """Keep the prediction; its digest. Never twice: raises `FileExistsError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = encode(foretold)
        with (self.folder / PREDICTION).open("xb") as file:
            file.write(content)
        digest = hashlib.sha256(content).hexdigest()
        (self.folder / DIGEST).write_text(digest + "\n", "ascii")
        return digest

    def foretold(self) -> Foretold:
        """The prediction. Raises `TamperedError` when it is not what was written."""
        file = self.folder / PREDICTION
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if digest != (self.folder / DIGEST).read_text("ascii").strip():
            raise TamperedError(f"{file}: expected the file of {DIGEST}, found {digest}")
        return decode(file, Foretold)

    def write_measured(self, measured: Measured) -> None:
        """Keep what came of it, which ends the attempt."""
        with (self.folder / MEASURED).open("xb") as file:
            file.write(encode(measured))

    def measured(self) -> Measured | None:
        """What came of it; None when it was interrupted. Raises `TamperedError`."""
        file = self.folder / MEASURED
        if not file.exists():
            return None
        measured = decode(file, Measured)
        if measured.digest != (self.folder / DIGEST).read_text("ascii").strip():
            raise TamperedError(f"{file} was measured against another prediction")
        return measured


class Store(msgspec.Struct, frozen=True):
    """The folder of all cases that one state of the model's code predicts."""

    folder: Path

    def attempts(self, case: str) -> list[Attempt]:
        """Those that there were, the first first."""
        found = [Attempt(path) for path in (self.folder / "cases" / case).glob("[0-9]*")]
        return sorted(found, key=lambda attempt: attempt.number)

    def next(self, case: str) -> Attempt:
        """The folder of an attempt that begins now."""
        last = max((attempt.number for attempt in self.attempts(case)), default=0)
        return Attempt(self.folder / "cases" / case / str(last + 1))

    def last(self, case: str) -> tuple[Foretold, Measured] | None:
        """The newest attempt that was brought to its end."""
        for attempt in reversed(self.attempts(case)):
            measured = attempt.measured()
            if measured is not None:
                return attempt.foretold(), measured
        return None

    def done(self, case: str) -> bool:
        """Whether it was measured and nothing disturbed it."""
        last = self.last(case)
        return last is not None and last[1].why_not is None
