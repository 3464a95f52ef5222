"""The players' networks and what tells them their condition: plain PyTorch, nothing here imports Lightning or Hydra."""
