"""A zip, read once as a stream, into facts.  `zips` is the table of contents."""
