"""IAM's documents for layerkit: what its commands may do, and who may be the role that does it.  AWS is not asked."""
