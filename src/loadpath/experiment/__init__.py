"""Composes deploy, drive and meter into arms: ramps, holds, bisection, interleaved comparison."""
