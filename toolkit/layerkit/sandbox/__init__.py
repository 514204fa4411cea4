"""What Lambda puts around a function, made here: /opt from zips, /var/task, the variables, a root of its own.

Files that begin with `_` run outside of layerkit: by another Python, or before it.
"""
