"""The questions, one file each: what one needs recorded (`collect`), what that means (`judge`)."""

from loadpath.questions.ask import ask, derive
from loadpath.questions.registry import QUESTIONS, Question

__all__ = ["QUESTIONS", "Question", "ask", "derive"]
