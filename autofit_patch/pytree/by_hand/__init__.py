"""Objects made by hand: their constructor's arguments."""
