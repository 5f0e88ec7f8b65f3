"""Records a service, predicts a change on it, and makes it for real.

    python examples/what_if.py FOLDER CHANGE [ROUNDS]

as in `python examples/what_if.py tests/known/cpu "users x1.2"`. Takes a few minutes.
"""

from __future__ import annotations

import sys

import loadpath


def main(folder: str, change: str, rounds: int | None = None) -> None:
    run = loadpath.record(folder)
    model = loadpath.fit(run)
    forecast = loadpath.predict(run, change, model=model)
    if forecast.prediction is not None:
        ratio = forecast.prediction.capacity.ratio
        print(
            f"foretold: {ratio.value:.2f} times the capacity ({ratio.low:.2f} to {ratio.high:.2f})"
        )
    answer = loadpath.verify(folder, change, source=run, rounds=rounds)
    print(loadpath.render([answer]))


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None)
    except loadpath.LoadpathError as error:
        sys.exit(str(error))
