"""Looks at a service's folder and writes a first service file for it; runs nothing in it.

A framework is one file here (`python_web.py`, `django.py`, `express.py`) that finds the routes and
how the service is started, and a branch in `detecting.py`. Packages that mean a dependency are
listed in `dependencies.py`.
"""

from loadpath.spec.detect.detecting import detect
from loadpath.spec.detect.found import Detected
from loadpath.spec.detect.render import render_service_file

__all__ = ["Detected", "detect", "render_service_file"]
