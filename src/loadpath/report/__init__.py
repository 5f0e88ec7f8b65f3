"""Answers as people and programs read them: terminal, progress, JSON."""
