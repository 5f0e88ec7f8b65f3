from loadpath.answer import Answer as Answer
from loadpath.answer import Check as Check
from loadpath.answer import Interval as Interval
from loadpath.answer import State as State
from loadpath.errors import LoadpathError as LoadpathError
from loadpath.library import ask as ask
from loadpath.library import find_run as find_run
from loadpath.library import fit as fit
from loadpath.library import predict as predict
from loadpath.library import record as record
from loadpath.library import render as render
from loadpath.library import verify as verify
from loadpath.model.network import Fitted as Fitted
from loadpath.model.predict import Prediction as Prediction
from loadpath.questions.forecast import Forecast as Forecast
from loadpath.recording import Recording as Recording
from loadpath.recording import Run as Run
from loadpath.spec import Setup as Setup
from loadpath.spec import load as load

__version__: str
