"""Measure a generator: sources of pictures, features of real ones, evaluators, and reports of the numbers."""
