"""What is looked at and changed in JAX and in PyAutoFit when the patch is imported."""
