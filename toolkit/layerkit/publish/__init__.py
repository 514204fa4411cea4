"""Layer versions in AWS, published exactly once; `pipeline` is the table of contents."""
