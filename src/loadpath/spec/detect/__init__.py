"""Looks at a service's folder and writes a first service file for it; runs nothing in it.

A framework is one file here (`python_web.py`, `django.py`, `express.py`) that finds the routes and
how the service is started, and a branch in `detecting.py`. What a request must bring is read from
types (`fastapi.py`, with examples of `examples.py`), forms (`django_views.py`) or the code
(`reads.py`). Packages that mean a dependency are listed in `dependencies.py`, the commands that lay
out a database and fill it in `commands.py`.
"""

from loadpath.spec.detect.detecting import detect
from loadpath.spec.detect.found import Detected
from loadpath.spec.detect.render import render_service_file
from loadpath.spec.detect.summary import render_summary

__all__ = ["Detected", "detect", "render_service_file", "render_summary"]
