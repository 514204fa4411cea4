"""One account of AWS: what is asked of it, how fast, and what can become of a call."""
