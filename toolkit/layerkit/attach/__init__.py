"""`layerkit attach`: gives a function its layers, and takes that back."""
