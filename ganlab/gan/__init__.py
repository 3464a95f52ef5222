"""A GAN in a few lines of Python. It trains as a recipe does, and what it saves is a run."""

from ganlab.gan.gan import GAN

__all__ = ["GAN"]
