"""Examples of inference: libraries of JAX's that take model instances as they are."""
