"""Relays on the wires between the service and what it needs, in a process of their own."""

from loadpath.tap import orders
from loadpath.tap.orders import OrderState
from loadpath.tap.plan import Place, Stats, Tap, TapState, Window, WindowResult
from loadpath.tap.taps import SERVICE, Taps
from loadpath.tap.unused import raise_if_unused

__all__ = [
    "SERVICE",
    "OrderState",
    "Place",
    "Stats",
    "Tap",
    "TapState",
    "Taps",
    "Window",
    "WindowResult",
    "orders",
    "raise_if_unused",
]
