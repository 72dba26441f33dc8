"""Levers: switches of the stack, each pulled in a process of its own.

Environment variables are read when TensorFlow is imported, so a lever with some needs a warm
process that was started with them. Everything else is set in the fork, before anything runs; it
would leak into what runs after.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

from bridge.errors import BridgeError
from bridge.facts.ops import PASSES
from bridge.process.environment import cpu_flags
from bridge.process.pool import Warm

Way = Literal["", "eager", "graph", "xla", "xla-off", "call"]

#: Passes that TensorFlow does not run unless a program asks (``MetaOptimizer`` of its
#: meta_optimizer.cc runs the others unless they are off).
OFF_BY_DEFAULT: Final = frozenset(
    {
        "scoped_allocator",
        "pin_to_host",
        "debug_stripper",
        "auto_mixed_precision",
        "auto_mixed_precision_mkl",
        "auto_mixed_precision_onednn_bfloat16",
    }
)

#: Switches that say "disable", and are turned on to turn a pass off.
_DISABLING: Final = "disable_"
#: Keras 3's back ends other than TensorFlow, and the packages that each imports. The one on NumPy
#: takes its convolutions and its FFT from JAX (keras/src/backend/numpy/nn.py and math.py).
_BACKENDS: Final[Mapping[str, tuple[str, ...]]] = {
    "numpy": ("jax", "scipy"),
    "jax": ("jax",),
    "torch": ("torch",),
}
#: What a driver of a device beside the CPU leaves in the file system: NVIDIA's, AMD's, Windows'.
_DRIVERS: Final = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
#: What oneDNN and XLA can be held down to, oldest first, and the instructions that each level adds,
#: in the words of Linux (oneDNN's dispatcher control; ``xla_cpu_max_isa`` of XLA's xla.proto).
_ONEDNN_ISA: Final[Mapping[str, str]] = {
    "SSE41": "sse4_1",
    "AVX": "avx",
    "AVX2": "avx2",
    "AVX512_CORE": "avx512bw",
    "AVX512_CORE_VNNI": "avx512_vnni",
    "AVX512_CORE_BF16": "avx512_bf16",
    "AVX512_CORE_FP16": "avx512_fp16",
    "AVX512_CORE_AMX": "amx_tile",
}
_XLA_ISA: Final[Mapping[str, str]] = {
    "SSE4_2": "sse4_2",
    "AVX": "avx",
    "AVX2": "avx2",
    "AVX512": "avx512f",
    "AVX512_VNNI": "avx512_vnni",
    "AVX512_BF16": "avx512_bf16",
    "AMX": "amx_tile",
}
_ONEDNN_VARIABLE: Final = "ONEDNN_MAX_CPU_ISA"
_XLA_VARIABLE: Final = "XLA_FLAGS"
_XLA_FLAG: Final = "--xla_cpu_max_isa"
#: Ways that only make sense where a recorded model is run again.
_OF_MODELS: Final = frozenset({"graph", "xla", "call"})


class LeverError(BridgeError, ValueError):
    """The lever does not exist or cannot be pulled here; the message says what to do."""


@dataclass(frozen=True)
class Lever:
    """One switch, or several pulled together.

    Attributes:
        name: what reports call it.
        env: variables of the environment, read when TensorFlow is imported.
        optimizer: options of the graph optimiser.
        threads: how many threads TensorFlow may use.
        way: ``eager`` (functions are not traced), ``graph`` (traced, without XLA), ``xla`` (what
            is run is compiled), ``xla-off`` (nothing is compiled, whoever asks for it), ``call``
            (``model(x)`` in place of ``predict``); "" leaves it as it was.
        dtype: the float type in which models compute; "" leaves it.
        rows: the size of batches; None leaves it.
        backend: Keras 3's back end; "" is TensorFlow.
        hide_gpus: only the CPU is used.
    """

    name: str
    env: tuple[tuple[str, str], ...] = ()
    optimizer: tuple[tuple[str, bool], ...] = ()
    threads: int | None = None
    way: Way = ""
    dtype: str = ""
    rows: int | None = None
    backend: str = ""
    hide_gpus: bool = False

    @property
    def passes(self) -> tuple[str, ...]:
        """The passes of Grappler that it turns off, as causes name them."""
        options = dict(self.optimizer)
        return tuple(
            name
            for name, option in PASSES.items()
            if options.get(option) is option.startswith(_DISABLING)
        )

    @property
    def grappler_pass(self) -> str:
        """The one pass of Grappler that it turns off (``constant_folding``), or ""."""
        return self.passes[0] if len(self.passes) == 1 and len(self.optimizer) == 1 else ""

    @property
    def of_models(self) -> bool:
        """Whether it can only be pulled for recorded models, and not for a whole script."""
        return self.way in _OF_MODELS or self.rows is not None

    def warm(self, generation: int) -> Warm:
        """Return the kind of warm process in which the lever can be pulled.

        Raises:
            LeverError: as :meth:`environment`.
        """
        return Warm(generation, env=self.environment(generation))

    def environment(self, generation: int) -> tuple[tuple[str, str], ...]:
        """Return the environment in which the lever's process starts.

        Raises:
            LeverError: this generation of Keras has no such back end, or a package is missing.
        """
        if not self.backend:
            return tuple((name, _beside(name, value)) for name, value in self.env)
        if generation != 3:
            raise LeverError(
                f"The lever {self.name!r} needs Keras 3: Keras 2 runs on TensorFlow alone."
            )
        if missing := _missing(self.backend):
            raise LeverError(
                f"The lever {self.name!r} needs {' and '.join(missing)}: "
                f"pip install {' '.join(missing)}."
            )
        return (*self.env, ("KERAS_BACKEND", self.backend))

    def params(self) -> dict[str, Any]:
        """Return what a job needs to pull the lever, as JSON."""
        return {
            "name": self.name,
            "optimizer": dict(self.optimizer),
            **self.switches,
        }

    @property
    def switches(self) -> dict[str, Any]:
        """What it sets in its process, beside options of the optimiser: a value for each field."""
        apart = ("name", "env", "optimizer")
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in apart
        }


def without(passes: Collection[str]) -> Lever:
    """Return the lever that turns off several passes of Grappler at once.

    Args:
        passes: as causes or levers name them: ``constant_folding`` or ``constant-folding``.

    Raises:
        LeverError: there is no such pass.
    """
    wanted = [pass_name.replace("-", "_") for pass_name in passes]
    unknown = next((pass_name for pass_name in wanted if pass_name not in PASSES), None)
    if unknown is not None:
        raise LeverError(_no_such("pass", unknown, PASSES))
    # In the order of the table, so that the same passes make the same lever.
    chosen = [name for name in PASSES if name in wanted]
    return Lever(
        "+".join(name.replace("_", "-") for name in chosen) + "-off",
        optimizer=tuple((PASSES[name], PASSES[name].startswith(_DISABLING)) for name in chosen),
    )


def _isa_name(library: str, level: str) -> str:
    """Return the name of the lever that holds a library down to an instruction set."""
    return f"{library}-isa-{level.lower().replace('_', '-')}"


def isa_levers(flags: Collection[str]) -> list[str]:
    """Return the levers that hold oneDNN or XLA down to less than a processor has."""
    found = []
    for library, levels in (("onednn", _ONEDNN_ISA), ("xla", _XLA_ISA)):
        newest = max((place for place, flag in enumerate(levels.values()) if flag in flags),
                     default=0)  # fmt: skip
        found += [_isa_name(library, level) for level in list(levels)[:newest]]
    return found


def _all() -> Iterator[Lever]:
    yield Lever("eager", way="eager")
    yield Lever("graph", way="graph")
    yield Lever("xla", way="xla")
    yield Lever("xla-off", way="xla-off")
    yield Lever("call", way="call")
    yield Lever("onednn-off", env=(("TF_ENABLE_ONEDNN_OPTS", "0"),))
    for level in _ONEDNN_ISA:
        yield Lever(_isa_name("onednn", level), env=((_ONEDNN_VARIABLE, level),))
    for level in _XLA_ISA:
        yield Lever(_isa_name("xla", level), env=((_XLA_VARIABLE, f"{_XLA_FLAG}={level}"),))
    yield Lever("one-thread", threads=1)
    yield Lever("float64", dtype="float64")
    yield Lever("cpu-only", hide_gpus=True)
    yield Lever("batch-1", rows=1)
    yield Lever("grappler-off", optimizer=(("disable_meta_optimizer", True),))
    for name in PASSES:
        yield without([name])
    for name in _BACKENDS:
        yield Lever(f"backend-{name}", backend=name)


#: Every lever, by its name.
LEVERS: Final[Mapping[str, Lever]] = {lever.name: lever for lever in _all()}

_OF_INSTRUCTIONS: Final = frozenset(
    _isa_name(library, level)
    for library, levels in (("onednn", _ONEDNN_ISA), ("xla", _XLA_ISA))
    for level in levels
)

#: What every exact probe is repeated under.
EXACT_LEVERS: Final[Mapping[str, Lever]] = {
    name: LEVERS[name] for name in ("onednn-off", "remapping-off", "one-thread")
}


def find_lever(name: str) -> Lever:
    """Return a lever by its name; several joined by "+" are pulled together.

    Raises:
        LeverError: there is none; the message names the nearest, and all.
    """
    if name in LEVERS:
        return LEVERS[name]
    parts = name.removesuffix("-off").split("+")
    if len(parts) > 1 and all(part.replace("-", "_") in PASSES for part in parts):
        return without(parts)
    raise LeverError(_no_such("lever", name, LEVERS))


def together(levers: Collection[Lever]) -> Lever | None:
    """Return the lever that pulls all of these; None for none.

    Raises:
        LeverError: two of them say different things of the same switch.
    """
    found = list(levers)
    if len(found) < 2:
        return found[0] if found else None
    values: dict[str, Any] = {}
    for pull in found:
        for key, value in pull.switches.items():
            if not value:
                continue
            if values.get(key, value) != value:
                names = " and ".join(repr(lever.name) for lever in found)
                raise LeverError(f"The levers {names} contradict each other: pull one at a time.")
            values[key] = value
    return Lever(
        " + ".join(lever.name for lever in found),
        env=tuple(dict(pair for lever in found for pair in lever.env).items()),
        optimizer=tuple(dict(pair for lever in found for pair in lever.optimizer).items()),
        **values,
    )


def available(generation: int) -> list[str]:
    """Return the levers that can make a difference here, in the order of the registry.

    Left out are passes that are off anyhow, back ends that are not installed or that this
    generation of Keras does not have, hiding GPUs where there is no sign of one, and holding a
    library down to instructions than which this processor has no newer. Nothing is imported to
    find out.
    """
    return [name for name, lever in LEVERS.items() if _makes_sense(lever, generation)]


def _makes_sense(lever: Lever, generation: int) -> bool:
    if lever.grappler_pass in OFF_BY_DEFAULT:
        return False
    if lever.name in _OF_INSTRUCTIONS:
        return lever.name in isa_levers(cpu_flags())
    if lever.grappler_pass == "plugin" or lever.hide_gpus:
        return _other_devices()
    if lever.backend:
        return generation == 3 and not _missing(lever.backend)
    return True


def _beside(variable: str, value: str) -> str:
    """Return a lever's value of a variable; flags of XLA's are put after those that are set."""
    before = os.environ.get(variable, "") if variable == _XLA_VARIABLE else ""
    return f"{before} {value}".strip()


def _missing(backend: str) -> list[str]:
    """Return the packages that a back end needs and that are not installed."""
    needed = _BACKENDS.get(backend, (backend,))
    return [package for package in needed if importlib.util.find_spec(package) is None]


def _other_devices() -> bool:
    """Say whether there is a sign of a device beside the CPU: a driver, or a plug-in's library."""
    plugins = (Path(folder) / "tensorflow-plugins" for folder in sys.path if folder)
    return any(path.exists() for path in (*_DRIVERS, *plugins))


def _no_such(kind: str, name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, list(known), n=3)
    hint = f"near it are: {', '.join(near)}. " if near else ""
    plural = "passes" if kind == "pass" else f"{kind}s"
    return f"There is no {kind} {name!r}; {hint}All {plural}: {', '.join(known)}."


def params_for_script(lever: Lever | None) -> dict[str, Any]:
    """Return what a job is told of a lever that is pulled for a script, if one is.

    Raises:
        LeverError: it says how recorded models are called.
    """
    if lever is None:
        return {}
    if lever.of_models:
        raise LeverError(
            f"The lever {lever.name!r} is for recorded models: a script decides by itself how it "
            "calls them. Record it, and use 'keras-bridge replay FILE --lever "
            f"{lever.name}'."
        )
    return {"lever": lever.params()}


def warm_for(lever: Lever | None, generation: int) -> Warm:
    """Return the kind of warm process without R for a lever, if one is pulled.

    Raises:
        LeverError: it cannot be pulled in this generation of Keras.
    """
    return Warm(generation) if lever is None else lever.warm(generation)


def pull(params: Mapping[str, Any], keras: Any = None) -> tuple[str, ...]:
    """Set what a lever's :meth:`Lever.params` say; call it before TensorFlow runs anything.

    Args:
        params: what :meth:`Lever.params` returned; nothing is done for {}.
        keras: the Keras whose float type the lever sets, for a script; models that are built
            again have their own in their configuration.

    Returns:
        Sentences about what the lever does not reach.
    """
    notes: list[str] = []
    if params.get("backend") in (None, "", "tensorflow"):
        _pull_tensorflow(params)
    if params.get("dtype") and keras is not None:
        keras.backend.set_floatx(params["dtype"])
        notes.append(
            f"Keras' own float type is {params['dtype']}: what the script gives another type by "
            "itself keeps that, and so do raw TensorFlow operations."
        )
    return tuple(notes)


def _pull_tensorflow(params: Mapping[str, Any]) -> None:
    import tensorflow as tf

    if params.get("threads") is not None:
        tf.config.threading.set_intra_op_parallelism_threads(int(params["threads"]))
        tf.config.threading.set_inter_op_parallelism_threads(int(params["threads"]))
    if params.get("optimizer"):
        _set_options(dict(params["optimizer"]))
    if params.get("hide_gpus"):
        others = {device.device_type for device in tf.config.list_physical_devices()} - {"CPU"}
        for kind in sorted(others):
            tf.config.set_visible_devices([], kind)
    if params.get("way") == "eager":
        tf.config.run_functions_eagerly(True)
    if params.get("way") in ("xla-off", "graph"):
        _never_compile()


def _set_options(options: dict[str, bool]) -> None:
    """Set options of the graph optimiser, those too that TensorFlow takes and ignores."""
    import tensorflow as tf
    from tensorflow.core.protobuf import rewriter_config_pb2
    from tensorflow.python.eager import context

    tf.config.optimizer.set_experimental_options(options)
    ignored = {"common_subgraph_elimination"} & set(options)
    if not ignored:
        return
    original = context.Context.config.fget

    def config(self: Any) -> Any:
        found = original(self)
        for name in ignored:
            kind = rewriter_config_pb2.RewriterConfig
            setattr(found.graph_options.rewrite_options, name,
                    kind.ON if options[name] else kind.OFF)  # fmt: skip
        return found

    context.Context.config = property(config)


def _never_compile() -> None:
    """Make every ``tf.function`` ignore that it is to be compiled, in this process."""
    from tensorflow.python.eager.polymorphic_function import polymorphic_function

    kind = polymorphic_function.Function
    original = kind.__init__

    def made(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if self._jit_compile:
            self._jit_compile = None

    kind.__init__ = made
    polymorphic_function.JIT_COMPILE_FUNCTIONS = False
