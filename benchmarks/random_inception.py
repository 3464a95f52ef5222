"""Write Inception with random weights to a file, for benchmarks and tests without the real ones.

The weights have the variance that preserves signals (He et al. 2015), a small spread in the batch statistics, and
different answers, so that every score has something to measure. Inception's own initial values would suppress all
signals.
"""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

MODULE = "torch_fidelity.feature_extractor_inceptionv3"


def save(path: Path, seed: int = 0) -> Path:
    """Write the file, readable by torch-fidelity, torchmetrics and ganlab, and return its path."""
    with (
        patch(f"{MODULE}.load_state_dict_from_url", lambda *_, **__: {}),
        patch.object(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None),
    ):
        net = FeatureExtractorInceptionV3("random", ["2048"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in net.modules():
            _enliven(module)
        net.fc.weight.data *= 20
    torch.save(net.state_dict(), path)
    return path


def _enliven(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    if isinstance(module, nn.BatchNorm2d):
        nn.init.uniform_(module.weight, 0.8, 1.2)
        nn.init.normal_(module.bias, 0, 0.1)
        nn.init.normal_(module.running_mean, 0, 0.1)
        nn.init.uniform_(module.running_var, 0.8, 1.2)
