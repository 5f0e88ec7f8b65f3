"""Loadpath: what will bottleneck, what to cache, what a crash costs, what growth does. Measured."""

__version__ = "0.1.0"
