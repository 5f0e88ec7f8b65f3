"""Turns the checked tables of a service file into the frozen structs that all layers use."""

from loadpath.spec.build.growth import build_growth
from loadpath.spec.build.service import build_service
from loadpath.spec.build.workload import build_workload

__all__ = ["build_growth", "build_service", "build_workload"]
