"""Metrics of samples: functions of tensors, and one class for each metric. Plain PyTorch: no Lightning, no Hydra.

Each number carries its protocol, and its full name carries the extractor. `metric.py` says what a metric is.
"""
