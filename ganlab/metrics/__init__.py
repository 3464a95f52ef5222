"""Metrics of samples: functions of tensors, and one class for each metric. Plain PyTorch: no Lightning, no Hydra.

Each number has a protocol, and its full name contains the extractor. `metric.py` defines the interface.
"""
