"""Networks of the players, and their conditioning. Plain PyTorch: nothing here imports Lightning or Hydra."""
