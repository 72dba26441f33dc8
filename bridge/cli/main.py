"""The command line: thin, and quick to say what it can do."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.check import (
    compare_arrays,
    examine,
    explain_received,
    report_case,
)
from bridge.cli.options import (
    BROKEN,
    OK,
    UNEXPECTED,
    Progress,
    cases_at_once,
    check_format,
    check_observed,
    check_out,
    environment_errors,
    settings,
    stop,
    suite_with,
)

app = typer.Typer(
    name="keras-bridge",
    help="A differential debugger for Keras-for-R: says whether a surprising number comes from R, "
    "the R package, Keras, the graph optimiser, a kernel - or from the mathematics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

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
Format = Annotated[
    str,
    typer.Option(
        "--format",
        help="What is printed: the answer as text, report.json as one list, SARIF for code "
        "scanners, or annotations for GitHub's workflows.",
        metavar="text|json|sarif|github",
    ),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Probe every model with whole numbers too, for which float32 is exact, in every "
        "setting.",
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
Full = Annotated[
    bool,
    typer.Option(
        "--full",
        help="Repeat every training to its end; else its first epochs are judged, and what "
        "follows starts from R's weights.",
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


@app.command()
def run(
    cases: Annotated[
        list[str] | None,
        typer.Argument(help="Names of cases; none means all.", metavar="[CASE]..."),
    ] = None,
    out: Out = Path("reports"),
    frontend: Frontend = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", help="Cases at once.", min=1, show_default="2, or 1 on a small machine"
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not look at every layer; compare predictions only.")
    ] = False,
    exact: Exact = False,
    full: Full = False,
    seconds: Seconds = 120.0,
    memory: Memory = 4096,
    sandbox: Sandbox = False,
    format_: Format = "text",
    single: Annotated[
        bool, typer.Option("--single-file", help="Write index.html as one page to be sent.")
    ] = False,
    builtin: Annotated[
        bool,
        typer.Option(
            "--builtin", help="Run the cases of keras-bridge too, where r_scripts/ has others."
        ),
    ] = False,
) -> None:
    """Run the scripts in r_scripts/, or those of keras-bridge, and write the reports."""
    from bridge.cases.case import CaseError, choose, find_cases, suite_folders

    options = settings(
        frontend, seconds, memory, jobs=jobs or cases_at_once(), quick=quick, exact=exact,
        full=full, sandbox=sandbox,
    )  # fmt: skip
    check_format(format_)
    check_out(out)
    try:
        chosen = choose(find_cases(suite_folders(builtin or None)), cases or [])
    except CaseError as error:
        stop(f"{error} With --builtin, the cases of keras-bridge are among them.")
    if not chosen:
        stop("There are no cases: no r_scripts folder here. Use 'keras-bridge check SCRIPT.R'.")
    raise typer.Exit(examine(chosen, out, options, format_, single=single, lines=True))


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
    full: Full = False,
    seconds: Seconds = 120.0,
    memory: Memory = 4096,
    sandbox: Sandbox = False,
    format_: Format = "text",
) -> None:
    """Run one R script of yours, replay it in Python without R, and compare."""
    from bridge.cases.case import CaseError, read_case

    options = settings(frontend, seconds, memory, exact=exact, full=full, sandbox=sandbox)
    for path in (script, *([twin] if twin else []), *([observed] if observed else [])):
        if not path.is_file():
            stop(f"There is no file {path}.")
    check_observed(observed)
    check_format(format_)
    check_out(out)
    try:
        case = read_case(script, twin, observed)
    except CaseError as error:
        stop(str(error))
    raise typer.Exit(examine([case], out, options, format_))


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
    from bridge.cli.add import AddingError, add_script, place_for
    from bridge.report.text import one_line

    options = settings(frontend, seconds, memory)
    try:
        place = place_for(script, Path.cwd(), name)
        with suite_with(options) as suite, environment_errors():
            added = add_script(script, place, suite)
    except AddingError as error:
        stop(str(error))
    print(one_line(added.report.sentence))
    for line in added.header:
        print(f"  {one_line(line)}")
    print(
        f"{added.path}: the header says what was found, which may not be what is right. When you "
        "have looked at it, take the line 'unreviewed' out."
    )
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
    from bridge.cli.audit import audit as run_audit
    from bridge.cli.audit import tell, write

    options = settings(frontend, seconds, memory)
    check_out(out)
    with Progress("starting R and TensorFlow") as shown, environment_errors():
        reports = run_audit(package or [], options.frontend, options.limits, shown.step)
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

    from bridge.cli import doctor as examination

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
    from bridge.cases.case import read_case

    options = settings(frontend, seconds, memory, sandbox=sandbox)
    if not script.is_file():
        stop(f"There is no file {script}.")
    if output.is_dir():
        stop(f"{output} is a folder: name a file, such as {output / script.stem}.capsule.")
    check_out(output.parent)
    with suite_with(options) as suite, environment_errors():
        (examined,) = suite.examine([read_case(script)])
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
    from bridge.cli.npy_diff import is_array_file

    if is_array_file(a) or is_array_file(b):
        compare_arrays(a, b, as_json)
    from bridge.capsule import CapsuleError, read_capsule
    from bridge.compare.stages import compare_runs

    try:
        pair = compare_runs(read_capsule(a), read_capsule(b))
    except CapsuleError as error:
        stop(f"{error}")
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
    from bridge.capsule import CapsuleError, read_capsule, write_capsule
    from bridge.pipeline.explain_capsule import (
        NothingRecordedError,
        generation_of,
        set_beside,
        summary,
    )
    from bridge.process.pool import Pool
    from bridge.report.text import one_line, visible
    from bridge.runs.levers import LeverError, find_lever, together
    from bridge.runs.rerun import rerun

    if output is not None:
        if output.is_dir():
            stop(f"{output} is a folder: name a file, such as {output / 'again.capsule'}.")
        check_out(output.parent)
    try:
        lever = together([find_lever(name) for name in levers or []])
        recorded = read_capsule(capsule)
        generation = generation_of(recorded)
        if lever is not None:
            lever.environment(generation)
    except NothingRecordedError as error:
        stop(f"{capsule} cannot be replayed: {error}.")
    except (CapsuleError, LeverError) as error:
        stop(str(error))
    with Progress("starting TensorFlow"), environment_errors(), Pool() as pool:
        limits = settings("auto", seconds, memory).limits
        again = rerun(pool, recorded, generation, limits, lever=lever)
    found = set_beside(recorded, again)
    for probe in found:
        for line in probe.lines():
            # One line whatever is in the names of a stranger, with its columns as they are.
            print(" ".join(visible(line).splitlines()))
    print(one_line(summary(found)))
    if output is not None:
        write_capsule(again, output)
        print(output)
    wrong = any(probe.verdict in ("different", "failed") for probe in found)
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
            help="Write the smallest model or script that still shows it into this folder: an R "
            "script, a Python script and the text of an issue.",
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

    from bridge.cases.case import CaseError, choose, find_cases, read_case, suite_folders

    options = settings(frontend, seconds, memory, explain=True)
    check_observed(observed)
    check_out(out)
    path = Path(what)
    if path.is_file() and path.suffix != ".R":
        raise typer.Exit(explain_received(path, observed, out, repro, options, as_json))
    try:
        case = (
            read_case(path)
            if path.is_file()
            else choose(find_cases(suite_folders(builtin=True)), [what])[0]
        )
    except CaseError as error:
        stop(str(error))
    case = case if observed is None else replace(case, observed=observed)
    with suite_with(options) as suite, environment_errors():
        (examined,) = suite.examine([case])
        small = None if repro is None else suite.make_small(case, examined, repro)
    raise typer.Exit(report_case(examined, out, as_json, small))


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
    from bridge.cli.translate import print_intent, print_replay

    options = settings(frontend, seconds, memory)
    if source not in ("text", "trace"):
        stop(f"--from is text or trace, not {source!r}.")
    if not what.is_file():
        stop(f"There is no file {what}.")
    if output is not None:
        if output.is_dir():
            stop(f"{output} is a folder: name a file, such as {output / what.stem}.py.")
        check_out(output.parent)
    if source == "text":
        raise typer.Exit(print_intent(what, output))
    raise typer.Exit(print_replay(what, output, options))


@app.command()
def rule(
    code: Annotated[
        str | None, typer.Argument(help="A rule's code, L01 say; none lists all.", metavar="[CODE]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the page of a rule: what it says, why it happens, and what to do instead."""
    from bridge.cli.rule import show
    from bridge.rules.registry import RuleError

    try:
        print(show(code, as_json))
    except RuleError as error:
        stop(str(error))


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

    R is not needed. The score is kept, and the reports that are made with the same versions of
    Keras and TensorFlow carry it.
    """
    from bridge.report.selftest_score import keep
    from bridge.selftest.generation_run import SelftestError
    from bridge.selftest.generation_run import run as run_selftest

    with Progress(after=2.0) as progress, environment_errors():
        try:
            found = run_selftest(faults, seed, progress=lambda text: progress.step("", text))
        except SelftestError as error:
            stop(str(error))
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
    from bridge.report.text import one_line
    from bridge.verify.verification import ReportError
    from bridge.verify.verification import verify as check_certificates

    with Progress(after=2.0) as progress:

        def step(case: str, done: int, total: int) -> None:
            progress.step(one_line(case), f"{done:,} of {total:,} outputs checked")

        try:
            found = check_certificates(reports, sample, step)
        except ReportError as error:
            stop(str(error))
    if as_json:
        print(found.as_text())
    else:
        for line in found.lines():
            print(one_line(line))
    raise typer.Exit(UNEXPECTED if not found.holds else OK if found.readable else BROKEN)


def main() -> None:
    """Run the command line; bad usage and a broken environment end with exit code 2."""
    # So that the processes and folders of a run go with it when it is report_case to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(BROKEN))
    app()


if __name__ == "__main__":
    main()
