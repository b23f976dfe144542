"""A simulated survey of strong lenses, and its fit."""
