"""What the example systems share; each module stands alone. Import the module you need."""

__version__ = "0.1.0"
