"""The command line: thin, and quick to say what it can do."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn, cast

import typer

if TYPE_CHECKING:
    from bridge.case import Case
    from bridge.report import CaseReport
    from bridge.repro import Repro
    from bridge.suite import Examined, Suite

app = typer.Typer(
    name="keras-bridge",
    help="A differential debugger for Keras-for-R: says whether a surprising number comes from R, "
    "the R package, Keras, the graph optimiser, a kernel - or from the mathematics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

OK, UNEXPECTED, BROKEN = 0, 1, 2

Frontend = Annotated[
    str,
    typer.Option(
        "--frontend",
        help="Who answers library(keras): CRAN's package, our stand-in, or auto (CRAN's where "
        "it is installed).",
        metavar="auto|cran|standin",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="The folder that the reports are written to.")]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Probe every model with whole numbers too, for which float32 is exact, in every "
        "setting; otherwise only where something is left open.",
    ),
]
Observed = Annotated[
    Path | None,
    typer.Option(
        "--observed",
        help="What was reported: a small .yml or .csv file, or a .capsule from the reporter's "
        "machine. It is set against every fault that may be the cause.",
    ),
]
Seconds = Annotated[
    float, typer.Option("--seconds", help="Time limit of one run, in seconds.", min=0.1)
]
Sandbox = Annotated[
    bool,
    typer.Option(
        "--sandbox",
        help="Run a stranger's script without network, without a view of other processes, and "
        "with every file read-only but those of its own folder.",
    ),
]
Memory = Annotated[int, typer.Option("--memory", help="Memory limit of one run, in MiB.", min=64)]


class Options(NamedTuple):
    """What the commands that run scripts have in common."""

    frontend: str
    jobs: int
    seconds: float
    memory: int
    quick: bool = False
    exact: bool = False
    explain: bool = False
    sandbox: bool = False


@app.command()
def run(
    cases: Annotated[
        list[str] | None,
        typer.Argument(help="Names of cases; none means all.", metavar="[CASE]..."),
    ] = None,
    out: Out = Path("reports"),
    frontend: Frontend = "auto",
    jobs: Annotated[int, typer.Option("--jobs", help="Cases at once.", min=1)] = 1,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not look at every layer; compare predictions only.")
    ] = False,
    exact: Exact = False,
    seconds: Seconds = 120.0,
    memory: Memory = 4096,
    sandbox: Sandbox = False,
) -> None:
    """Run the comparison suite and write the reports."""
    from bridge.case import CaseError, choose, find_cases, suite_folders

    _check_frontend(frontend)
    _check_out(out)
    try:
        chosen = choose(find_cases(suite_folders()), cases or [])
    except CaseError as error:
        _stop(str(error))
    if not chosen:
        _stop("There are no cases: no r_scripts folder here. Use 'keras-bridge check SCRIPT.R'.")
    options = Options(frontend, jobs, seconds, memory, quick, exact, sandbox=sandbox)
    raise typer.Exit(_examine(chosen, out, options))


@app.command()
def check(
    script: Annotated[Path, typer.Argument(help="Any R script.", metavar="SCRIPT.R")],
    twin: Annotated[
        Path | None, typer.Option("--twin", help="A Python file that should do the same.")
    ] = None,
    observed: Observed = None,
    out: Out = Path("reports"),
    frontend: Frontend = "auto",
    exact: Exact = False,
    seconds: Seconds = 120.0,
    memory: Memory = 4096,
    sandbox: Sandbox = False,
) -> None:
    """Run one R script of yours, replay it in Python without R, and compare."""
    from bridge.case import CaseError, read_case

    _check_frontend(frontend)
    for path in (script, *([twin] if twin else []), *([observed] if observed else [])):
        if not path.is_file():
            _stop(f"There is no file {path}.")
    _check_observed(observed)
    _check_out(out)
    try:
        case = read_case(script, twin, observed)
    except CaseError as error:
        _stop(str(error))
    options = Options(frontend, 1, seconds, memory, exact=exact, sandbox=sandbox)
    raise typer.Exit(_examine([case], out, options))


@app.command()
def add(
    script: Annotated[Path, typer.Argument(help="Any R script.", metavar="SCRIPT.R")],
    name: Annotated[
        str | None, typer.Option("--name", help="The name of the case; the script's, if not given.")
    ] = None,
    frontend: Frontend = "auto",
    seconds: Seconds = 120.0,
    memory: Memory = 4096,
) -> None:
    """Put an R script into the suite here, with a header that says what was found of it."""
    from bridge.adding import AddingError, add_script, place_for
    from bridge.report.text import one_line

    _check_frontend(frontend)
    try:
        place = place_for(script, Path.cwd(), name)
        with _suite(Options(frontend, 1, seconds, memory)) as suite, _environment_errors():
            added = add_script(script, place, suite)
    except AddingError as error:
        _stop(str(error))
    print(one_line(added.report.sentence))
    for line in added.header:
        print(f"  {one_line(line)}")
    print(f"{added.path}: the header says what was found, which may not be what is right.")
    print(f"Type 'keras-bridge run {added.path.stem}' to compare it again.")


@app.command()
def audit(
    package: Annotated[
        list[str] | None, typer.Argument(help="keras or keras3; none means both.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    out: Out = Path("reports"),
    frontend: Frontend = "auto",
    seconds: Seconds = 120.0,
    memory: Memory = 4096,
) -> None:
    """Probe every argument of every wrapper, and list what reaches Python changed."""
    from bridge.auditing import audit as run_audit
    from bridge.auditing import tell, write
    from bridge.runners.pool import MIB, Limits

    _check_frontend(frontend)
    _check_out(out)
    with _Progress("starting R and TensorFlow") as shown, _environment_errors():
        limits = Limits(seconds, memory * MIB)
        reports = run_audit(package or [], cast("Any", frontend), limits, shown.step)
    if as_json:
        for report in reports:
            write(report, out)
        print(f"[{', '.join(report.model_dump_json(indent=1) for report in reports)}]")
    else:
        tell(reports, out)
    raise typer.Exit(BROKEN if any(report.notes for report in reports) else OK)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is installed, what is missing, and how to mend it."""
    from rich.console import Console

    from bridge import doctor as examination

    findings = examination.diagnose(examination.gather_situation())
    if as_json:
        print(examination.as_json(findings))
    else:
        Console(highlight=False).print(examination.render(findings))
    broken = any(finding.level == "problem" for finding in findings)
    raise typer.Exit(BROKEN if broken else OK)


@app.command()
def record(
    script: Annotated[Path, typer.Argument(help="Any R script.", metavar="SCRIPT.R")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The capsule to write.")],
    frontend: Frontend = "auto",
    seconds: Seconds = 120.0,
    memory: Memory = 4096,
    sandbox: Sandbox = False,
) -> None:
    """Run one R script and keep the run as a capsule, to compare it elsewhere."""
    from bridge.capsule import write_capsule
    from bridge.case import read_case

    _check_frontend(frontend)
    if not script.is_file():
        _stop(f"There is no file {script}.")
    if output.is_dir():
        _stop(f"{output} is a folder: name a file, such as {output / script.stem}.capsule.")
    _check_out(output.parent)
    options = Options(frontend, 1, seconds, memory, sandbox=sandbox)
    with _suite(options) as suite, _environment_errors():
        examined = next(iter(suite.examine([read_case(script)])))
    write_capsule(examined.runs["r"], output)
    print(f"{examined.report.sentence}\n{output}")
    raise typer.Exit(UNEXPECTED if examined.report.verdict == "failed" else OK)


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(help="A capsule, or an array in a .npy file.")],
    b: Annotated[Path, typer.Argument(help="Another of the same kind.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two recorded runs, from here or from another machine; or two arrays in .npy files."""
    from bridge.arrays import is_array_file

    if is_array_file(a) or is_array_file(b):
        _diff_arrays(a, b, as_json)
    from bridge.capsule import CapsuleError, read_capsule
    from bridge.compare.stages import compare_runs

    try:
        pair = compare_runs(read_capsule(a), read_capsule(b))
    except CapsuleError as error:
        _stop(f"{error}")
    if as_json:
        print(pair.model_dump_json(indent=1))
    else:
        print(f"{a.name} and {b.name}: {pair.verdict}")
        if pair.first_divergence is not None:
            first = pair.first_divergence
            print(f"They part at the stage '{first.stage}': {first.where} {first.detail}".rstrip())
        elif pair.detail:
            print(pair.detail)
    raise typer.Exit(UNEXPECTED if pair.verdict in ("different", "failed") else OK)


def _diff_arrays(a: Path, b: Path, as_json: bool) -> NoReturn:
    from bridge.arrays import ArrayFileError, compare_files

    shown = ""
    with _Progress(after=2.0) as terminal:

        def progress(done: int, total: int) -> None:
            nonlocal shown
            percent = f"{done / total:.0%}"
            if percent != shown:
                terminal.step("", f"{percent} of {total:,} elements")
                shown = percent

        try:
            compared = compare_files(a, b, progress)
        except ArrayFileError as error:
            _stop(str(error))
    print(compared.as_json() if as_json else compared.text())
    raise typer.Exit(OK if compared.same else UNEXPECTED)


@app.command()
def replay(
    capsule: Annotated[
        Path, typer.Argument(help="A recorded run, from here or elsewhere.", metavar="FILE")
    ],
    levers: Annotated[
        list[str] | None,
        typer.Option("--lever", help="A switch of the stack; several are pulled together."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A capsule to keep the new run in.")
    ] = None,
    seconds: Seconds = 120.0,
    memory: Memory = 4096,
) -> None:
    """Make the recorded predictions again on this machine, and judge every layer of them.

    Nothing of the script is run: the models are built from their recorded configuration.
    """
    from bridge.again import NothingRecordedError, generation_of, set_beside, summary
    from bridge.capsule import CapsuleError, read_capsule, write_capsule
    from bridge.report.text import one_line, visible
    from bridge.runners.levers import LeverError, find_lever, together
    from bridge.runners.pool import MIB, Limits, Pool
    from bridge.runners.rerun import rerun

    if output is not None:
        if output.is_dir():
            _stop(f"{output} is a folder: name a file, such as {output / 'again.capsule'}.")
        _check_out(output.parent)
    try:
        lever = together([find_lever(name) for name in levers or []])
        recorded = read_capsule(capsule)
        generation = generation_of(recorded)
        if lever is not None:
            lever.environment(generation)
    except NothingRecordedError as error:
        _stop(f"{capsule} cannot be replayed: {error}.")
    except (CapsuleError, LeverError) as error:
        _stop(str(error))
    with _Progress("starting TensorFlow"), _environment_errors(), Pool() as pool:
        limits = Limits(seconds, memory * MIB)
        made = rerun(pool, recorded, generation, limits, lever=lever)
    found = set_beside(recorded, made)
    for each in found:
        for line in each.lines():
            # One line whatever is in the names of a stranger, with its columns as they are.
            print(" ".join(visible(line).splitlines()))
    print(one_line(summary(found)))
    if output is not None:
        write_capsule(made, output)
        print(output)
    wrong = any(each.verdict in ("different", "failed") for each in found)
    raise typer.Exit(UNEXPECTED if wrong else OK)


@app.command()
def explain(
    what: Annotated[
        str,
        typer.Argument(
            help="A case by its name, an R script, or a capsule.", metavar="CASE|CAPSULE"
        ),
    ],
    observed: Observed = None,
    out: Out = Path("reports"),
    repro: Annotated[
        Path | None,
        typer.Option(
            "--repro",
            help="Write the smallest model that still differs into this folder: a Python script, "
            "an R script and the text of an issue.",
            metavar="DIR",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    frontend: Frontend = "auto",
    seconds: Seconds = 120.0,
    memory: Memory = 4096,
) -> None:
    """Look for the cause: pull the stack's levers one by one, and weigh every cause against them.

    A capsule from elsewhere is judged and run again here; nothing of its script is run.
    """
    from dataclasses import replace

    from bridge.case import CaseError, choose, find_cases, read_case, suite_folders

    _check_frontend(frontend)
    _check_observed(observed)
    _check_out(out)
    options = Options(frontend, 1, seconds, memory, explain=True)
    path = Path(what)
    if path.is_file() and path.suffix != ".R":
        raise typer.Exit(_explain_capsule(path, observed, out, repro, options, as_json))
    try:
        case = read_case(path) if path.is_file() else choose(find_cases(suite_folders()), [what])[0]
    except CaseError as error:
        _stop(str(error))
    case = case if observed is None else replace(case, observed=observed)
    with _suite(options) as suite, _environment_errors():
        (examined,) = suite.examine([case])
        small = None if repro is None else suite.repro(case, examined, repro)
    raise typer.Exit(_told(examined, out, as_json, small))


def _explain_capsule(
    path: Path,
    observed: Path | None,
    out: Path,
    repro: Path | None,
    options: Options,
    as_json: bool,
) -> int:
    from bridge.again import generation_of
    from bridge.capsule import CapsuleError
    from bridge.received import NothingRecordedError, explain_capsule
    from bridge.repro import write_repro
    from bridge.runners.pool import MIB, Limits, Pool

    limits = Limits(options.seconds, options.memory * MIB)
    try:
        with _Progress("starting TensorFlow") as shown, _environment_errors(), Pool() as pool:
            found = explain_capsule(
                pool, path, limits, observed, lambda text: shown.step(path.name, text)
            )
            small = None
            if repro is not None:
                generation = generation_of(found.runs["r"])
                small = write_repro(pool, found.runs, generation, limits, repro, path.stem)
    except CapsuleError as error:
        _stop(str(error))
    except NothingRecordedError as error:
        _stop(f"{path} cannot be explained: {error}.")
    return _told(found, out, as_json, small)


def _told(examined: Examined, out: Path, as_json: bool, small: Repro | None = None) -> int:
    from bridge.report.text import one_line
    from bridge.suite import write

    report, index = examined.report, write([examined], out)
    if as_json:
        print(report.model_dump_json(by_alias=True, indent=1))
    else:
        sure = f", {report.confidence}" if report.confidence else ""
        print(one_line(f"{report.verdict}: {report.cause}{sure}"))
        for line in (report.sentence, *report.explanation):
            print(one_line(line))
        for each in report.levers:
            ops = f" ({' '.join(dict.fromkeys(each.executed_ops))})" if each.executed_ops else ""
            part = f" on {each.restricted}" if each.restricted else ""
            print(f"  {one_line(each.lever):20} {one_line(each.verdict + part + ops)}")
        for line in report.unexplained:
            print(one_line(f"Not explained: {line}"))
        for line in small.sentences if small is not None else ():
            print(one_line(line))
        for made in small.files if small is not None else ():
            print(made)
        print(index)
    return UNEXPECTED if _is_unexpected(report) else OK


@app.command()
def translate(
    what: Annotated[
        Path, typer.Argument(help="An R script, or a capsule of one.", metavar="SCRIPT.R")
    ],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="What is translated: the script's text, or the trace of what it asked of Python.",
            metavar="text|trace",
        ),
    ] = "trace",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file to write; large arrays go beside it."),
    ] = None,
    frontend: Frontend = "auto",
    seconds: Seconds = 120.0,
    memory: Memory = 4096,
) -> None:
    """Print the Python that does what an R script does."""
    _check_frontend(frontend)
    if source not in ("text", "trace"):
        _stop(f"--from is text or trace, not {source!r}.")
    if not what.is_file():
        _stop(f"There is no file {what}.")
    if output is not None:
        if output.is_dir():
            _stop(f"{output} is a folder: name a file, such as {output / what.stem}.py.")
        _check_out(output.parent)
    if source == "text":
        raise typer.Exit(_translate_text(what, output))
    raise typer.Exit(_translate_trace(what, output, Options(frontend, 1, seconds, memory)))


def _translate_text(what: Path, output: Path | None) -> int:
    from bridge.report.text import one_line
    from bridge.runners.intent import translated

    with _environment_errors():
        found = translated(what)
    if output is None:
        print(found.text, end="")
    else:
        output.write_text(found.text, "utf-8")
        print(output)
    for gap in found.gaps:
        print(f"Not translated: {one_line(gap.sentence)}", file=sys.stderr)
    return OK


def _translate_trace(what: Path, output: Path | None, options: Options) -> int:
    from bridge.capsule import CapsuleError
    from bridge.case import CaseError
    from bridge.report.text import one_line
    from bridge.runners.pool import MIB, Limits
    from bridge.translating import translate_trace

    limits = Limits(options.seconds, options.memory * MIB)
    stem = output.stem if output is not None else "replay"
    try:
        with _Progress("starting R and TensorFlow"), _environment_errors():
            found, recorded = translate_trace(what, cast("Any", options.frontend), limits, stem)
    except (CapsuleError, CaseError) as error:
        _stop(str(error))
    if not recorded.manifest.calls:
        _stop(f"{what} asked nothing of Python: there is nothing to translate.")
    if output is None:
        print(found.source, end="")
    else:
        found.save(output)
        print(output)
    said = [f"Left out: {one_line(gap)}" for gap in found.gaps]
    if output is None and found.arrays:
        said.append("Its large arrays are not written: use -o FILE to have them beside it.")
    for line in said:
        print(line, file=sys.stderr)
    return OK


@app.command()
def selftest(
    faults: Annotated[
        int, typer.Option("--faults", help="How many faults are put in.", metavar="N", min=1)
    ] = 100,
    seed: Annotated[
        int, typer.Option("--seed", help="What models and faults are drawn from.", min=0)
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Put faults into small models of this installation, and see whether they are found.

    R is not needed. The score is kept, and later reports carry it.
    """
    from bridge.selftest import SelftestError, keep
    from bridge.selftest import run as run_selftest

    with _Progress(after=2.0) as progress, _environment_errors():
        try:
            found = run_selftest(faults, seed, progress=lambda text: progress.step("", text))
        except SelftestError as error:
            _stop(str(error))
    if found.trials:
        keep(found.score)
    if as_json:
        print(found.as_json())
    else:
        for line in found.lines():
            print(line)
    raise typer.Exit(BROKEN if not found.trials else OK if found.passed else UNEXPECTED)


@app.command()
def verify(
    reports: Annotated[
        Path, typer.Argument(help="A folder of reports, or of one case.", metavar="REPORTS_DIR")
    ] = Path("reports"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            help="Check only so many elements of each output, drawn at random.",
            metavar="N",
            min=1,
        ),
    ] = None,
) -> None:
    """Check with exact arithmetic every certificate that a report's verdicts rest on."""
    from bridge.certify.reports import ReportError
    from bridge.certify.verify import verify as check_certificates
    from bridge.report.text import one_line

    with _Progress(after=2.0) as progress:

        def step(case: str, done: int, total: int) -> None:
            progress.step(one_line(case), f"{done:,} of {total:,} outputs checked")

        try:
            found = check_certificates(reports, sample, step)
        except ReportError as error:
            _stop(str(error))
    if as_json:
        print(found.as_text())
    else:
        for line in found.lines():
            print(one_line(line))
    raise typer.Exit(UNEXPECTED if not found.holds else OK if found.readable else BROKEN)


def main() -> None:
    """Run the command line; bad usage and a broken environment end with exit code 2."""
    # So that the processes and folders of a run go with it when it is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(BROKEN))
    app()


def _examine(cases: list[Case], out: Path, options: Options) -> int:
    from bridge.report import print_summary
    from bridge.suite import write

    with _suite(options) as suite, _environment_errors():
        examined = list(suite.examine(cases))
    index = write(examined, out)
    reports = [each.report for each in examined]
    print_summary(reports)
    print(index)
    return UNEXPECTED if any(_is_unexpected(report) for report in reports) else OK


def _is_unexpected(report: CaseReport) -> bool:
    """Say whether a case is not as its header expects; without one, agreement is expected."""
    if report.expected is not None:
        return not report.expected.met
    return report.verdict in ("different", "failed")


@contextmanager
def _suite(options: Options) -> Iterator[Suite]:
    from bridge.runners.pool import MIB, Limits
    from bridge.suite import Settings, Suite

    if options.sandbox:
        from bridge.runners.contain import why_not

        reason = why_not()
        if reason:
            _stop(
                f"--sandbox cannot be had on this machine: {reason}. Nothing was run; without "
                "--sandbox the script may do whatever you may."
            )
    limits = Limits(options.seconds, options.memory * MIB)
    settings = Settings(
        cast("Any", options.frontend),
        options.jobs,
        limits,
        options.quick,
        options.exact,
        options.explain,
        options.sandbox,
    )
    with (
        _Progress("starting R and TensorFlow") as progress,
        Suite(settings, progress.step) as suite,
    ):
        yield suite


@contextmanager
def _environment_errors() -> Iterator[None]:
    """Turn what is wrong with the machine into one sentence and exit code 2."""
    from bridge.r.frontend import NoFrontEndError
    from bridge.r.script import NoRError
    from bridge.r.standin.build import StandinError
    from bridge.runners.pool import PoolError

    try:
        yield
    except (NoFrontEndError, NoRError, StandinError, PoolError) as error:
        _stop(str(error))


class _Progress:
    """Says on a terminal's stderr what is being done; silent when it is piped.

    Nothing is shown before ``after`` seconds.
    """

    def __init__(self, first: str = "", after: float = 0.0) -> None:
        self._shown = sys.stderr.isatty()
        self._started = time.monotonic()
        self._first, self._after = first, after

    def __enter__(self) -> _Progress:
        self.step("", self._first)
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()

    def step(self, case: str, what: str) -> None:
        passed = time.monotonic() - self._started
        if self._shown and passed >= self._after:
            text = f"[{passed:5.1f} s] {case} {what}".replace("]  ", "] ")
            sys.stderr.write(f"\r\x1b[2K{text[:100]}")
            sys.stderr.flush()


def _check_frontend(frontend: str) -> None:
    if frontend not in ("auto", "cran", "standin"):
        _stop(f"--frontend is auto, cran or standin, not {frontend!r}.")


def _check_observed(observed: Path | None) -> None:
    """Find out before anything runs whether the observations can be read."""
    from bridge.explain.observed import ObservedError, read_observed

    if observed is None:
        return
    try:
        read_observed(observed)
    except ObservedError as error:
        _stop(str(error))


def _check_out(out: Path) -> None:
    """Find out before anything runs whether the folder can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        _stop(f"The folder {out} cannot be written ({error.strerror}): choose another with --out.")


def _stop(sentence: str) -> NoReturn:
    print(f"keras-bridge: {sentence}", file=sys.stderr)
    raise typer.Exit(BROKEN)


if __name__ == "__main__":
    main()
