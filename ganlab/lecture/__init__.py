"""The lecture's experiments: one file each, a claim and a function `run` that draws it and measures it."""
