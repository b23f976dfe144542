"""
Objects as pytrees: which of their numbers are leaves, and how they are made again.

:mod:`~autofit_patch.pytree.by_model` does it for instances that a model made,
:mod:`~autofit_patch.pytree.by_hand` for all other objects, and ``_registration`` gives
the classes of both to JAX.
"""
