"""
Profiles of one kind are evaluated together: traced and compiled once a kind.

``_groups`` finds the kinds and what their profiles share, ``_once`` computes that once,
``_evaluate`` does both for a function of a profile, and ``_sum`` stands in for many
profiles. ``_convolution`` and ``_binning`` are linear maps whose transposes are as fast.
``_replaced`` lists which functions of the libraries use them, ``_switch`` when they do.
"""
