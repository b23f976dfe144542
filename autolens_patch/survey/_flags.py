"""What is wrong with data, or to be known of a fit."""

import autolens as al
import numpy as np

from autogalaxy_patch.datasets import LEAST_OUTSIDE

#: By how many of its standard deviations chi squared may exceed its mean: more, and the
#: maximum is not that of the lens, or the model or the noise is wrong.
CHI_SQUARED = 6.0

#: By how much the sum of a PSF may differ from one.
PSF_SUM = 1e-3


def faults_of(dataset) -> list[str]:
    """
    Why a data set cannot be fitted.

    Parameters
    ----------
    dataset
        A data set.

    Returns
    -------
    The reasons, none if it can be.
    """
    if not isinstance(dataset, (al.Imaging, al.Interferometer)):
        return [
            f"it is a {type(dataset).__name__}, and no al.Imaging or al.Interferometer"
        ]
    data, noise = (np.asarray(each.array) for each in (dataset.data, dataset.noise_map))
    faults = []
    if count := int((~np.isfinite(data)).sum()):
        faults.append(f"{count} of {data.size} data are no finite numbers")
    if count := int((~np.isfinite(noise)).sum()):
        faults.append(f"the noise of {count} of {noise.size} data is no finite number")
    parts = (noise.real, noise.imag) if np.iscomplexobj(noise) else (noise,)
    if count := int(sum((part <= 0.0).sum() for part in parts)):
        faults.append(f"the noise of {count} of {noise.size} data is not above zero")
    psf = getattr(dataset, "psf", None)
    if psf is not None:
        total = float(np.sum(np.asarray(psf.kernel.array)))
        # Not a number either.
        if not abs(total - 1.0) < PSF_SUM:
            faults.append(f"the PSF sums to {total:.6g}, and not to one")
    if not faults and not data.size:
        faults.append("its mask leaves no pixel")
    return faults


def noise_of(dataset) -> tuple[float, int]:
    """The noise normalization of a data set, and how many numbers were observed."""
    noise = np.asarray(dataset.noise_map.array)
    parts = np.concatenate(
        [noise.real, noise.imag] if np.iscomplexobj(noise) else [noise]
    )
    parts = parts[parts < LEAST_OUTSIDE]
    return float(np.log(2.0 * np.pi * parts**2).sum()), parts.size


def flags_of(
    draws, maxima: list, effective: float, rhat: float, chi_squared: float, total: int
) -> list[str]:
    """
    What is to be known of a fit.

    Parameters
    ----------
    draws
        The draws.
    maxima
        What the posterior is like at its maxima, that of the draws first.
    effective, rhat
        What was asked for.
    chi_squared, total
        Chi squared for each of the numbers that were observed, and how many these are.
    """
    flags = []
    if not chi_squared < 1.0 + CHI_SQUARED * np.sqrt(2.0 / total):
        flags.append(f"chi squared {chi_squared:.2f} a datum")
    if not draws.effective.min() >= effective:
        flags.append(f"{draws.effective.min():.0f} effective draws")
    if not draws.rhat.max() < rhat:
        flags.append(f"R-hat {draws.rhat.max():.3f}")
    if (count := int(draws.divergent.sum())) > 0.002 * len(draws.divergent):
        flags.append(f"{count} divergent draws")
    if len(maxima) > 1:
        below = maxima[0].log_evidence - maxima[1].log_evidence
        flags.append(f"another maximum, of log evidence {below:.1f} less")
    if not maxima[0].is_maximum:
        flags.append("no normal distribution touches the maximum")
    return flags
