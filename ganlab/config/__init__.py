"""Recipes and command lines: read and checked from source files, before anything heavy is imported."""
