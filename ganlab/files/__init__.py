"""Files of a run: replaced atomically, locked, and checked before they are read."""
