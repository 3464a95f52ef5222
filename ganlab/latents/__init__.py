"""The latents of a trained model: walks between them, directions in them, the one that is nearest to a picture.

Everything here draws `Point`s (points.py), one at a time, with the averaged generator. `ganlab.walk`, `ganlab.edit` and
`ganlab.project` are the commands.
"""
