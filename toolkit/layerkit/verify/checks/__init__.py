"""The rules, a module for each kind: facts in, findings out."""
