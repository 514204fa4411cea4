"""`layerkit verify`: what is in the zips, what of it would fail in Lambda, and whether it imports there.

`pipeline` is the table of contents.
"""
