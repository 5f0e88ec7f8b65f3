"""A link shortener that speaks the Shlink REST API v3."""

__version__ = "0.1.0"
