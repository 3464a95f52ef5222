"""Numbers about pictures: features, fidelity, diversity, matching. Plain PyTorch: no Lightning, no Hydra.

Each number comes with the protocol it was measured under, and its logged name carries the extractor.
"""
