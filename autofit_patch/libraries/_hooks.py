"""
When a library is patched: once, at its import.

The configuration of the libraries depends on the order in which they are imported: what
is imported last is asked first. So the patch imports none of them before the user does,
but for PyAutoFit, and waits for the others.
"""

import sys
from collections.abc import Callable

from wrapt import register_post_import_hook

from autofit_patch.libraries._check import SmallModel, check
from autofit_patch.libraries._internals import counted_apart
from autofit_patch.libraries._versions import newer_than_tested

_patched: set[str] = set()
_checked: set[str] = set()


def when_imported(
    library: str, apply: Callable[[], None], small_model: Callable[[], SmallModel]
):
    """
    Patch a library: at once if it is imported, or else right after it is.

    Parameters
    ----------
    library
        The name of its module.
    apply
        Patches it. It is called once, however often this function is.
    small_model
        Makes the model with which a release is checked that is newer than those tested.

    Raises
    ------
    Exception
        What ``apply`` or the check raises: here, or where the library is imported. That
        import then fails, and so does the next.
    """
    is_waiting = library not in sys.modules

    def hook(_):
        try:
            with counted_apart():
                if library not in _patched:
                    apply()
                    _patched.add(library)
                if library not in _checked:
                    if newer_than_tested():
                        check(small_model())
                    _checked.add(library)
        except BaseException:
            if is_waiting:
                # An import that fails forgets the module, and has forgotten the hook.
                sys.modules.pop(library, None)
                register_post_import_hook(hook, library)
            raise

    register_post_import_hook(hook, library)
