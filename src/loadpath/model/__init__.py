"""Queueing models: fitted from what was observed, changed, and solved by bounds and simulation.

Pure: no file, no clock, no network.
"""
