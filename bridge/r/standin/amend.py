"""What the tables do not say of a function, or say in a way that no wrapper can be made from."""

from __future__ import annotations

from typing import Literal

from bridge.r.standin.tables import Argument, Function

#: Questions that a wrapper asks Python before its own call; the tables list only the call.
BEFORE = {
    ("keras", "layer_lambda"): ("keras.backend.backend",),
    ("keras", "save_model_hdf5"): ("keras.backend.backend",),
}

#: Arguments without a kind in the tables although one of the runtime's gives their answers
#: (a test compares them).
RESOLVED = {
    ("keras", "fit_text_tokenizer", "x"): "texts",
    ("keras", "image_load", "path"): "path",
    ("keras", "image_dataset_from_directory", "directory"): "known_path",
}

#: Layers that send their inputs to the constructor, which fails: a fault of the real package.
SENDS_INPUTS = {("keras", "layer_multi_head_attention")}

#: What R gets back where that is not what Python returned.
GIVES: dict[tuple[str, str], Literal["self", "true"]] = {
    ("keras", "adapt"): "self",
    ("keras", "fit_text_tokenizer"): "self",
    ("keras", "load_model_weights_hdf5"): "self",
    ("keras", "load_model_weights_tf"): "self",
    ("keras", "reset_states"): "self",
    ("keras", "save_model_hdf5"): "true",
    ("keras", "save_model_tf"): "true",
    ("keras", "save_model_weights_hdf5"): "true",
    ("keras", "save_model_weights_tf"): "true",
    ("keras3", "adapt"): "self",
    ("keras3", "load_model_weights"): "self",
}


def amend(package: str, name: str, function: Function) -> Function:
    """Return ``function`` with what is known of it besides its table.

    A function whose constants were accidents of measuring (they stand in the place of a formal,
    or have a number for a name) becomes one that was not measured.
    """
    if not function.measured:
        return function
    formals = {formal for formal, _ in function.formals}
    if any(key.isdigit() or key in formals for key in function.constants):
        return Function(formals=function.formals, unmeasured="its call was not understood")
    arguments = {
        argument: _amend_argument(package, name, argument, rule, dict(function.formals))
        for argument, rule in function.arguments.items()
    }
    update: dict[str, object] = {
        "arguments": arguments,
        "before": BEFORE.get((package, name), ()),
        "gives": GIVES.get((package, name), "result"),
    }
    called = function.modes.get("called")
    if called is not None and called.sends == "all" and "..." in formals:
        # Inputs given one by one, and not in a list: then only what is typed crosses.
        joined = called.model_copy(update={"sends": "typed"})
        update["modes"] = {"joined": joined} | function.modes
    if (package, name) in SENDS_INPUTS:
        update["composes"] = False
        arguments[function.object] = Argument(to=function.object, kind="as_is")
    return function.model_copy(update=update)


def _amend_argument(
    package: str, name: str, argument: str, rule: Argument, formals: dict[str, str | None]
) -> Argument:
    if kind := RESOLVED.get((package, name, argument)):
        return rule.model_copy(update={"kind": kind})
    default = formals.get(argument) or ""
    if rule.kind == "choice" and not rule.choices:
        # Only the default is known to be among the choices.
        plain = default.startswith('"') and default.endswith('"')
        return rule.model_copy(
            update={"kind": "only" if plain else "unknown", "choices": (default.strip('"'),)}
        )
    return rule
