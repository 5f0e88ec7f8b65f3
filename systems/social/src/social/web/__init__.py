"""The HTTP side: endpoints declared once, parameters read, answers written."""
