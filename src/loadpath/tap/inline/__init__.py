"""Protocols read in line: what passes is cut into units before it is passed on, so that one of them
can be dropped, held, doubled or answered in the server's place.

The readers of `loadpath.wire` do the cutting; what is here decides for each unit. A connection that
was open when an order came is joined where nothing is under way on it, so that no unit is missed or
cut through. While no order about units stands, nobody reads in line.
"""
