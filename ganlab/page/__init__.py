"""The page to play with trained models in the browser, and the command that serves it.

`model` opens a checkpoint, `opinion` asks its discriminator, `wish` bounds what may be asked, `figures` writes HTML.
One tab a file: `drawing`, `between`, `finding`, `colouring`. `blocks` joins them, `gate` and `server` serve them.
"""
