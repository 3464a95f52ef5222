"""The discriminator as evaluation function: its log density ratio chooses what the generator draws, one method a file.

Everything happens among latents: a method turns random latents into better ones, and pictures are drawn from those.
"""
