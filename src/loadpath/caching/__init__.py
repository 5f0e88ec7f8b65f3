"""What a cache would have done with a stream of requests: hits, staleness, leaks, cost. Pure.

Everything is a replay of what was observed (`stream`), uncached, so that every request's true
answer is known. No file, no clock, no network.
"""
