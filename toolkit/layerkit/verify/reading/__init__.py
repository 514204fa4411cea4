"""A zip, read as a stream, into facts.  `zips` is the table of contents."""
