from autolens_patch.survey._likelihood import likelihood
from autolens_patch.survey._stack import common_frame, groups, stack
