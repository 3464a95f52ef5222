"""The lecture's experiments. Each file has a claim and a function `run` that measures and draws it."""
