"""The game: players, turns and steps. Also the making of a module from a recipe, saving and loading."""
