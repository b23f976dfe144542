"""
The command line which the profiling scripts share.
"""

import argparse
from pathlib import Path

from jax_profiling.instruments import INSTRUMENTS, QUICK, Array, Instrument
from jax_profiling.ways import BESIDE

#: The option of the scripts whose galaxies both have a multi-Gaussian expansion.
GAUSSIANS = "--gaussians", "how many Gaussians each of the two galaxies has", 20, 2


def positive_integer(text: str) -> int:
    """
    The whole number, at least 1, that an option was given.

    Raises
    ------
    argparse.ArgumentTypeError
        If the text is anything else.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def parser_from(
    description: str,
    examples: str,
    output: Path,
    instrument: str = "hst",
    instruments: dict[str, Instrument | Array] = INSTRUMENTS,
    quick: Instrument | Array = QUICK,
) -> argparse.ArgumentParser:
    """
    A parser with the options that every script has.

    Parameters
    ----------
    description
        What the script does, in a sentence.
    examples
        Command lines, one a line, which `--help` ends with.
    output
        The default folder of the results.
    instrument
        The default instrument.
    instruments
        All of them, by name.
    quick
        The one of a quick run.
    """
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--instrument",
        choices=instruments,
        help=f"the telescope whose data are fitted (default: {instrument})",
    )
    parser.set_defaults(
        instruments=instruments,
        default_instrument=instrument,
        of_quick_run=quick,
        sizes={},
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=output,
        metavar="FOLDER",
        help="where the results are written (default: %(default)s)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a small size, for continuous integration",
    )
    return parser


def add_size(
    parser: argparse.ArgumentParser, name: str, what: str, default: int, quick: int
) -> None:
    """
    Adds an option that is a whole number.

    Parameters
    ----------
    parser
        A parser made by `parser_from`.
    name
        The name on the command line: `--gaussians`.
    what
        What it says, for `--help`.
    default, quick
        The number if the option is left out, and in a quick run.
    """
    parser.add_argument(
        name,
        type=positive_integer,
        metavar="N",
        help=f"{what} (default: {default}; quick: {quick})",
    )
    parser.get_default("sizes")[name[2:].replace("-", "_")] = default, quick


def add_timing_options(parser: argparse.ArgumentParser, batch: int, repeats: int) -> None:
    """
    Adds the options of the scripts that time a likelihood.

    Parameters
    ----------
    parser
        A parser made by `parser_from`.
    batch, repeats
        How many instances a batch has, and how many calls are timed, by default.
    """
    for name, what, default, quick in (
        ("instances", "for how many instances every way is checked", 20, 4),
        ("batch", "how many instances a batch has", batch, 3),
        ("repeats", "how many calls are timed", repeats, 5),
        ("compilations", "how often the whole likelihood is compiled", 5, 1),
    ):
        add_size(parser, f"--{name}", what, default, quick)
    parser.add_argument(
        "--beside",
        nargs="*",
        choices=BESIDE,
        help="what is measured beside a ModelInstance: a flat vector, profiles that are "
        "evaluated together (default: both; quick: together)",
    )
    parser.get_default("sizes")["beside"] = BESIDE, ("together",)
    parser.add_argument(
        "--trace",
        type=Path,
        metavar="FOLDER",
        help="write a profile of compiling the likelihood and of one call, which "
        "Perfetto and TensorBoard open",
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="report the peak memory after each step, of the process and of a GPU",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="let JAX log what it compiles, and why it traces a function again",
    )


def options_from(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """
    The options of a run; `instrument` is an `Instrument` or an `Array`.

    Parameters
    ----------
    parser
        A parser made by `parser_from`, with what a script added to it.
    """
    options = parser.parse_args()
    if options.quick and options.instrument:
        parser.error("--quick has its own small dataset: leave out --instrument")
    if options.output.exists() and not options.output.is_dir():
        parser.error(f"argument --output: {options.output} is not a folder")

    options.instrument = (
        options.of_quick_run
        if options.quick
        else options.instruments[options.instrument or options.default_instrument]
    )

    for name, (default, quick) in options.sizes.items():
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else default)
    return options
