"""What a capsule holds: the manifest, schema version 1.

The manifest is JSON; every array it speaks of is named by a key and lies beside it in the same
file. ``array_keys`` of :class:`Manifest` lists all of them, so that a reader can refuse a file
whose manifest points at nothing.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue

from bridge.capsule.values import Frozen, Value

#: What a manifest's parts are in.
_HOLDERS: Final = (Frozen, tuple, dict)

SCHEMA_VERSION: Final = 1

Runner = Literal["r", "replay", "twin", "intent", "reference"]

Status = Literal[
    "ok",
    "error",
    "syntax-error",
    "not-utf8",
    "empty",
    "quit",
    "time-limit",
    "memory-limit",
    "output-limit",
    "killed",
    "not-run",
]

ArrayKey = Annotated[str, Field(pattern=r"^[0-9a-z][0-9a-z._-]{0,79}$")]
Text = Annotated[str, Field(max_length=20_000_000)]


class Array(Frozen):
    """A named array: ``key`` finds its elements, dtype and shape say what to expect there."""

    name: str
    key: ArrayKey | None
    dtype: str
    shape: tuple[int, ...]


class FrontEnd(Frozen):
    """The R package that the script calls, and whether it is CRAN's or the stand-in."""

    kind: Literal["cran", "standin", "none"]
    package: str
    version: str


class Environment(Frozen):
    """The machine and the versions; no user name and no path.

    ``switches`` are settings that change which kernels oneDNN and XLA choose, by name; no other
    variable of the environment is recorded.
    """

    system: str = ""
    machine: str = ""
    cpu_model: str = ""
    cpu_vendor: str = ""
    cpu_flags: tuple[str, ...] = ()
    switches: dict[str, str] = Field(default_factory=dict)
    cores: int = 0
    r: str = ""
    r_packages: dict[str, str] = Field(default_factory=dict)
    python: str = ""
    packages: dict[str, str] = Field(default_factory=dict)
    keras: str = ""
    devices: tuple[str, ...] = ()
    optimizer: dict[str, JsonValue] = Field(default_factory=dict)
    onednn: bool | None = None
    threads: tuple[int, int] | None = None


class Script(Frozen):
    """The source that was run, unmodified."""

    name: str
    language: Literal["r", "python"]
    text: Text
    sha256: str


class MissingAttribute(Frozen):
    """An attribute that ``owner`` does not have.

    ``near`` are names of it that are nearly the same, ``elsewhere`` is where the same process has
    the name.
    """

    owner: str
    name: str
    near: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


class ErrorRecord(Frozen):
    """An error: its class in the language that raised it, the message, and where.

    ``origin`` is the R package whose function signalled it (``script`` for the script's own);
    ``label`` is the name of the probe inside which a twin met it. ``missing`` describes the
    attribute that was asked for and is not there; ``in_use`` says that a call worked, and what it
    had made could not be used.
    """

    language: Literal["r", "python", "process"]
    cls: str
    message: Text
    line: int | None = None
    column: int | None = None
    call: str = ""
    origin: str = ""
    label: str = ""
    missing: MissingAttribute | None = None
    in_use: bool = False


class Warned(Frozen):
    """A warning or a message that R signalled."""

    kind: Literal["warning", "message"]
    text: Text
    line: int | None = None
    call: str = ""


class RValue(Frozen):
    """An argument as R had it, before reticulate converted it."""

    name: str = ""
    type: str
    cls: tuple[str, ...] = ()
    length: int = 0
    dim: tuple[int, ...] | None = None
    names: tuple[str, ...] | None = None
    text: str = ""
    missing: int = 0


class Call(Frozen):
    """One crossing of the boundary from R into Python.

    ``within`` is the :class:`Invocation` whose function of R's made the call.
    ``internal`` marks questions of reticulate's own, asked while it converts or prints.
    ``assigned`` is the variable that the innermost statement of the script assigns to, if it is
    an assignment; ``defaults`` names the keyword arguments that say what Python does anyway.
    """

    id: int
    parent: int | None = None
    within: int | None = None
    kind: Literal["call", "getattr", "setattr", "getitem", "setitem", "import", "run"]
    target: Value
    name: str = ""
    line: int | None = None
    r_call: str = ""
    assigned: str = ""
    internal: bool = False
    r_args: tuple[RValue, ...] = ()
    args: tuple[Value, ...] = ()
    kwargs: dict[str, Value] = Field(default_factory=dict)
    defaults: tuple[str, ...] = ()
    result: Value | None = None
    error: ErrorRecord | None = None


class Invocation(Frozen):
    """One call that Python made of a function of R's, during the boundary call ``parent``.

    ``closure`` is the number of the function. What R called on what it was given are the calls that
    are ``within`` it; ``result`` or ``error`` is what Python got. ``looked`` says that Python only
    asked because something was described.
    """

    id: int
    closure: int
    parent: int | None = None
    args: tuple[Value, ...] = ()
    kwargs: dict[str, Value] = Field(default_factory=dict)
    result: Value | None = None
    error: ErrorRecord | None = None
    looked: bool = False


class RecordedFile(Frozen):
    """A file that Python found where a call named it, and that no recorded call had written.

    ``path`` is as the call spells it, or lies in a folder that it names; ``key`` has the bytes.
    """

    call: int
    path: str
    key: ArrayKey | None


class WeightRecord(Frozen):
    """One weight of a layer, by its name within the layer (``kernel``, ``bias``)."""

    name: str
    array: Array
    trainable: bool = True


class LayerState(Frozen):
    """A layer of a model at one moment; ``inbound`` names the layers that feed it.

    A layer that feeds it twice is named twice; one that is called several times has what feeds
    every call. ``layers`` are those of a model that is used as a layer. ``id`` is the number that
    the layer has as an object of the run, by which the call that made it is found; ``shape`` is
    that of its only output, None where it is not known.
    """

    name: str
    cls: str
    id: int | None = None
    shape: tuple[int | None, ...] | None = None
    config: dict[str, JsonValue] = Field(default_factory=dict)
    weights: tuple[WeightRecord, ...] = ()
    inbound: tuple[str, ...] = ()
    layers: tuple[LayerState, ...] = ()


class ModelState(Frozen):
    """A model at one moment: its class, configuration and weights.

    ``config`` is what ``get_config()`` returned, or None with ``why_no_config`` saying why.
    """

    id: int
    cls: str
    keras: str
    name: str
    layers: tuple[LayerState, ...] = ()
    config: JsonValue = None
    why_no_config: str = ""
    compiled: JsonValue = None


class ExecutedOp(Frozen):
    """A node of a graph as it was executed; ``fused`` lists what was fused into it, in order."""

    op: str
    name: str
    fused: tuple[str, ...] = ()
    device: str = ""

    @property
    def label(self) -> str:
        """The op as reports print it: ``_FusedMatMul[BiasAdd,Relu]``."""
        return f"{self.op}[{','.join(self.fused)}]" if self.fused else self.op


class ExecutedGraph(Frozen):
    """What the graph optimiser left to execute; ``ops`` are in execution order."""

    ops: tuple[ExecutedOp, ...] = ()
    functions: int = 0
    jit_compiled: bool = False

    def fingerprint(self) -> dict[str, int]:
        """Return how often each op, with what is fused into it, stands in the graph."""
        counts: dict[str, int] = {}
        for op in self.ops:
            counts[op.label] = counts.get(op.label, 0) + 1
        return dict(sorted(counts.items()))


class Perturbed(Frozen):
    """What repeated runs of a layer did, every argument moved by at most one ULP.

    ``exact`` is the layer computed in float64, ``scale`` the root mean square over the runs of
    their distance from it, element by element; ``statistics`` has each run's largest distance over
    scale. All are of the first ``rows`` rows of the output.
    """

    exact: Array
    scale: Array
    statistics: tuple[float, ...]
    rows: int


class LayerOutput(Frozen):
    """What one layer received and made in a probe, and whether looking changed the graph.

    ``graph_unchanged`` is None where no graph was executed (eager) or none could be read.
    ``through`` names layers that were executed in one with it: the outputs are then the last
    one's, and the inputs all that the layers received from elsewhere. ``node`` says which call of
    the layer (of the last, if they are several) this is, counted as the model's configuration
    counts them. A layer of a model that is used as a layer is named with it: ``inner/dense``.
    An output that could not be seen has no key. ``rows`` says how many rows the layer received at
    a time, None where all at once; ``inputs`` and ``outputs`` have them all.

    ``masked`` says that it was given a mask. ``arguments`` are those of its call that are not its
    input and not left out, by name; ``{"input": 1}`` stands for an array of ``inputs``.
    ``perturbed`` is there for layers without a rule, or ``why`` says why it is not.
    """

    layer: str
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    graph_unchanged: bool | None = None
    node: int = 0
    rows: int | None = None
    through: tuple[str, ...] = ()
    masked: bool = False
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    perturbed: Perturbed | None = None
    why: str = ""


class ExactProbe(Frozen):
    """Which part of a model an exact probe ran with whole numbers, and how.

    ``stretch`` is the part's number in ``model``, ``until`` the layer that it ends with where it is
    only the start of it, ``style`` that of its numbers. It was run in a ``way``, ``rows`` at a time
    (None: all), asked for ``every_layer`` or for the end alone, under a ``lever`` if one is named.
    ``bare`` layers were without their activation; ``whole`` says that it is the model itself.

    What was not run: a part that is the ``same`` computation as the one that ``same_as`` names, and
    ``refused`` layers, which no part covers. ``layers`` names theirs, and ``why`` says why they
    are refused, or what a run raised.
    """

    model: str
    outcome: Literal["made", "raised", "same", "refused"]
    stretch: int = 0
    layers: tuple[str, ...] = ()
    style: str = ""
    until: str = ""
    way: str = ""
    rows: int | None = None
    every_layer: bool = False
    lever: str = ""
    bare: tuple[str, ...] = ()
    whole: bool = False
    same_as: str = ""
    why: Text = ""


#: What became of a probe: it was made; it raised an error; it could not be made; it was made
#: without the fault that it was asked to have, or with one that no executed op can have.
ProbeStatus = Literal["made", "raised", "not-run", "without-fault", "idle"]


class Probe(Frozen):
    """One point at which a run can be compared: a prediction, an evaluation, a training.

    ``targets`` are what an evaluation or a training was given beside its inputs: ``y`` and
    ``sample_weight``; ``validation`` is what a training was validated with. ``settings`` are
    those of its arguments on which the numbers depend. The ``outputs`` of a ``fit`` are the model's
    weights after it. ``first_epochs`` says how many epochs of a training were made; its curves end
    there, and its weights are not kept: what follows started from those of R's run. ``exact`` is
    there for exact probes.
    ``why`` says more of a ``status`` that is not "made": the class of the error, or the reason.
    ``notes`` are for readers.
    """

    index: int
    label: str = ""
    kind: Literal["predict", "call", "evaluate", "fit", "train", "value"]
    state: int | None = None
    call: int | None = None
    line: int | None = None
    inputs: tuple[Array, ...] = ()
    targets: tuple[Array, ...] = ()
    validation: tuple[Array, ...] = ()
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    outputs: tuple[Array, ...] = ()
    layers: tuple[LayerOutput, ...] = ()
    executed: ExecutedGraph | None = None
    curves: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    first_epochs: int | None = None
    eager: bool = False
    exact: ExactProbe | None = None
    status: ProbeStatus = "made"
    why: Text = ""
    notes: tuple[str, ...] = ()


class Plot(Frozen):
    """A page that R's graphics device drew; the bytes are stored as an array of uint8."""

    media_type: Literal["image/svg+xml", "image/png"]
    key: ArrayKey
    line: int | None = None


class Output(Frozen):
    """A piece of text that the run printed, and the line of the script that printed it.

    ``python`` is what Python wrote to its standard output; ``native`` is what went past both R and
    Python, and has no place among the rest.
    """

    stream: Literal["stdout", "stderr", "python", "native"]
    text: Text
    line: int | None = None


class KernelErrors(Frozen):
    """The largest errors of an activation's kernels in a type, as measured where the run was made.

    ``positive`` and ``negative`` are runs of binades of the true value: the first k, the last, and
    the largest error in units in the last place; None where a kernel gave no number for one.
    ``exhaustive`` says that all numbers of the type were tried.
    """

    activation: str
    dtype: str
    exhaustive: bool
    positive: tuple[tuple[int, int, float | None], ...]
    negative: tuple[tuple[int, int, float | None], ...]


class Draw(Frozen):
    """What a function of R's drew at random where the script called it: numbers, or strings.

    ``statement`` is the one at the top of the script that drew it, counted from 1.
    """

    name: str
    line: int | None = None
    statement: int = 0
    array: Array | None = None
    strings: tuple[str, ...] = ()


class Variable(Frozen):
    """A variable of the script, and R's value of it as ``hooks.R`` takes it apart."""

    name: str
    value: Value


class WatchedValue(Frozen):
    """What R computed once at a watched expression, and the row of that in R's syntax tree."""

    place: int
    value: Value


class Answer(Frozen):
    """What one statement at the top of the script made of R's variables, counted from 1.

    ``places`` are what R computed at the expressions that were watched, in order, by their rows in
    R's syntax tree. ``calls`` are the numbers of the first and last call that it made, the last
    below the first where it made none.
    """

    statement: int
    line: int | None = None
    calls: tuple[int, int] = (1, 0)
    variables: tuple[Variable, ...] = ()
    places: tuple[WatchedValue, ...] = ()


class Reading(Frozen):
    """Where the intent reads the text otherwise than R's own rules do: the rule, and its line."""

    kind: str
    cause: str
    line: int = 0
    what: Text

    @property
    def place(self) -> tuple[str, int]:
        """What is read otherwise, and where: a translation can be asked to take it as R does."""
        return self.kind, self.line

    @property
    def sentence(self) -> str:
        """The reading as reports name it."""
        where = f"{self.kind}, {self.cause}, line {self.line}"
        return f"Read otherwise than R reads it ({where}): {self.what}."


class Quit(Frozen):
    """A call by which the script ended itself, and the status that it left."""

    code: str
    line: int | None = None

    @property
    def sentence(self) -> str:
        """The call as reports name it."""
        where = f" at line {self.line}" if self.line else ""
        return f"The script called quit(){where} with status {self.code}."


class Manifest(Frozen):
    """Everything in a capsule but the elements of its arrays.

    ``error`` is the one that ended the run; ``caught`` lists those that Python raised and the
    script (or the twin) survived, in order. ``gaps`` names what a run could not do of what it was
    asked: a replay cannot call a function that was written in R. ``standins`` names the R packages
    that were loaded as stand-ins. ``answers`` are R's, statement by statement; ``readings`` are the
    intent's, and ``answered`` names what it took from R's answers. ``notes`` are for readers.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    runner: Runner
    lever: str | None = None
    case: str
    status: Status
    error: ErrorRecord | None = None
    script: Script | None = None
    frontend: FrontEnd | None = None
    environment: Environment = Environment()
    kernels: tuple[KernelErrors, ...] = ()
    calls: tuple[Call, ...] = ()
    invocations: tuple[Invocation, ...] = ()
    files: tuple[RecordedFile, ...] = ()
    states: tuple[ModelState, ...] = ()
    probes: tuple[Probe, ...] = ()
    caught: tuple[ErrorRecord, ...] = ()
    conditions: tuple[Warned, ...] = ()
    output: tuple[Output, ...] = ()
    plots: tuple[Plot, ...] = ()
    draws: tuple[Draw, ...] = ()
    answers: tuple[Answer, ...] = ()
    answered: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()
    quit: Quit | None = None
    notes: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    standins: tuple[str, ...] = ()
    seconds: float = 0.0
    peak_bytes: int = 0

    def array_keys(self) -> set[str]:
        """Return the key of every array that the manifest speaks of."""
        found: set[str] = set()
        stack: list[object] = [self]
        while stack:
            item = stack.pop()
            if isinstance(item, Frozen):
                key = getattr(item, "key", None)
                if isinstance(key, str):
                    found.add(key)
                # Numbers, names and texts hold nothing: most of a large manifest is that.
                stack.extend(value for value in vars(item).values() if isinstance(value, _HOLDERS))
            elif isinstance(item, tuple):
                stack.extend(item)
            elif isinstance(item, dict):
                stack.extend(item.values())
        return found
