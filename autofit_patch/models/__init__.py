"""Models and priors as pytrees of the numbers of the priors."""
