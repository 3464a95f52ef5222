"""The game: players, turns, steps; how a module is made from a recipe, saved and loaded."""
