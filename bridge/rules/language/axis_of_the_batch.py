"""The axis 1 of R's packages is that of the rows, which Python calls 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.capsule import Call
from bridge.capsule.values import Class, Closure, ObjectValue
from bridge.rules.asked_again import two_answers
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of, number, parts, r_name
from bridge.translate.syntax import is_number

RULE = Rule(
    "R12",
    "axis-of-the-batch",
    cause="r-index-base",
    needs=("text",),
    explains=("P02", "P03", "P09"),
)
#: Functions of Keras that mix the elements along an axis.
_MIXING: Final = frozenset(
    {
        *("cumsum", "cumprod", "sum", "mean", "prod", "max", "min", "std", "var", "median"),
        *("logsumexp", "softmax", "log_softmax", "sort", "l2_normalize", "normalize"),
    }
)
#: After these the first axis may be another one.
_REARRANGING: Final = frozenset(
    {"transpose", "permute_dimensions", "moveaxis", "swapaxes", "reshape", "squeeze", "flatten"}
)
_KERAS_TENSOR: Final = "KerasTensor"


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a function in a layer that mixes rows, because R's first axis is that of the rows.

    A model may take statistics over a batch on purpose: what decides is a row that was predicted
    in two companies and has two answers.
    """
    names = {r_name(call) for call in _mixing(run)}
    for node in run.written:
        axis = next(
            (argument.value for argument in node.arguments if argument.name == "axis"), None
        )
        if node.name not in names or not is_number(axis, 1):
            continue
        both = next(two_answers(run), None)
        yield RULE.finding(
            f"{node.name}(axis = 1) works along the rows of the batch",
            "The R package counts axes from 1: the first is that of the rows. Python's axis = 1 is "
            "axis = 2 here. So a row's answer depends on the rows beside it.",
            at=run.node_place(axis if axis is not None else node, "the rows"),
            also=(both[1].line,) if both else (),
            evidence=(("a row predicted beside others", "another answer"),) if both else (),
            help=run.help(
                "Count one more.", run.text.set_number(node.name, node.line, "axis", "2")
            ),
            decides=both is not None,
        )
        return


def _mixing(run: Run) -> Iterator[Call]:
    """Yield the calls that mix the rows of what a layer is given."""
    layers = set(_functions_of_layers(run))
    within = {
        invocation.id: invocation
        for invocation in run.capsule.manifest.invocations
        if invocation.closure in layers
    }
    batches = {
        value.id
        for invocation in within.values()
        for given in (*invocation.args, *invocation.kwargs.values())
        for value in parts(given)
        if isinstance(value, ObjectValue)
    }
    for call in run.capsule.manifest.calls:
        given = [
            value for argument in (*call.args, *call.kwargs.values()) for value in parts(argument)
        ]
        tensors = [value for value in given if isinstance(value, ObjectValue)]
        if call.kind != "call" or not any(_is_batch(value, batches) for value in tensors[:1]):
            continue
        if number(call.kwargs.get("axis")) == 0 and name_of(call) in _MIXING:
            yield call
        elif name_of(call) not in _REARRANGING and isinstance(call.result, ObjectValue):
            batches.add(call.result.id)


def _is_batch(value: ObjectValue, batches: set[int]) -> bool:
    return value.id in batches or value.cls.endswith(f":{_KERAS_TENSOR}")


def _functions_of_layers(run: Run) -> Iterator[int]:
    """Yield the numbers of the functions of R's that are layers: lambdas, and methods ``call``."""
    for call in run.capsule.manifest.calls:
        for value in (*call.args, *call.kwargs.values(), call.target):
            if isinstance(value, Closure) and name_of(call) == "Lambda":
                yield value.id
            if isinstance(value, Class):
                yield from (
                    member.id
                    for name, member in value.members
                    if name == "call" and isinstance(member, Closure)
                )
