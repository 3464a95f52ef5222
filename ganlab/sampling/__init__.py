"""Sampling guided by the discriminator: its log density ratio chooses among the generator's samples. One method a file.

All methods work on latents: they turn random latents into better ones, and pictures are drawn from those.
"""
