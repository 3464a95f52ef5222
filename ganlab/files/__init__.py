"""Files of a run: replaced whole, locked, checked before they are read."""
