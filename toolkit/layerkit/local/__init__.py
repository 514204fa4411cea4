"""A local Lambda: a declared function, its real layer zips, AWS's own runtime client."""
