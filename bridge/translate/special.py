"""Functions of the R packages that are no plain wrappers."""

from __future__ import annotations

from typing import Any

from bridge.translate.layered import Layered
from bridge.translate.syntax import (
    Call,
    Node,
    Text,
)
from bridge.translate.wrappers import (
    wrappers,
)
from bridge.translate.writing import (
    Code,
)


class Special(Layered):
    """The part of a translation that knows what is special."""

    def _do_keras_model_sequential(self, node: Call, *_rest: Any) -> Code:
        wrapper = wrappers(self.package)[node.name]
        given = self._matched(wrapper, node)
        inputs: list[str] = []
        rest: list[str] = []
        for formal, (_name, value) in given.items():
            stem = formal.removeprefix("input_") if self.generation == 3 else formal
            if formal in ("layers", "...0") or _is_of_calls(value):
                rest.append(self.expression(value).text)
            elif formal == "name" or formal == "trainable":
                rest.append(f"{formal}={self.expression(value).text}")
            elif formal in (
                "input_shape",
                "shape",
                "batch_input_shape",
                "input_batch_shape",
                "batch_shape",
            ):
                word = "batch_shape" if "batch" in formal else "shape"
                inputs.append(f"{word}={self._shape(value).text}")
            elif formal in ("batch_size", "input_batch_size"):
                inputs.append(f"batch_size={self._whole(value).text}")
            else:
                inputs.append(f"{stem}={self._plain(value).text}")
        if inputs and not rest:
            return Code(f"keras.Sequential([keras.Input({', '.join(inputs)})])", "sequential")
        if inputs and all("=" in each for each in rest):
            more = ", ".join(rest)
            return Code(
                f"keras.Sequential([keras.Input({', '.join(inputs)})], {more})", "sequential"
            )
        if not rest:
            return Code("keras.Sequential([])", "sequential")
        return Code(f"keras.Sequential({', '.join(rest)})", "sequential")

    def _do_as_tensor(self, node: Call, *_: Any) -> Code:
        parts: list[str] = []
        dtype, shape_ = "", ""
        for each in node.arguments:
            if each.value is None:
                continue
            if each.name == "dtype" or (not each.name and len(parts) == 1 and not dtype):
                dtype = self.expression(each.value).text
            elif each.name == "shape":
                shape_ = self._shape(each.value).text
            else:
                parts.append(self.expression(each.value).text)
        return Code(
            f"r.tensor({', '.join(parts)}{f', dtype={dtype}' if dtype else ''}"
            f"{f', shape={shape_}' if shape_ else ''})",
            "tensor",
        )

    def _do_set_random_seed(self, node: Call, *_: Any) -> Code:
        value = next((each.value for each in node.arguments if each.value is not None), None)
        seed = self._whole(value).text if value is not None else "None"
        if self.generation == 2:
            # It is that of the package tensorflow, which knows no Keras.
            return Code(f"r.set_random_seed({seed})")
        return Code(f"keras.utils.set_random_seed({seed})")

    _do_use_session_with_seed = _do_set_random_seed

    def _do_clear_session(self, *_: Any) -> Code:
        return Code("keras.backend.clear_session()")

    _do_k_clear_session = _do_clear_session

    def _do_import(self, node: Call, *_: Any) -> Code:
        value = node.arguments[0].value if node.arguments else None
        if isinstance(value, Text):
            return Code(f"__import__('importlib').import_module({value.value!r})", "module")
        return self.gap(node, "import() of a module that is not named")

    _do_import_ = _do_import

    def _do_custom_metric(self, node: Call, *_: Any) -> Code:
        values = [each.value for each in node.arguments if each.value is not None]
        return Code(
            f"r.called({', '.join(self.expression(v).text for v in reversed(values))})", "function"
        )

    def _do_tf_function(self, node: Call, *_: Any) -> Code:
        value = node.arguments[0].value if node.arguments else None
        return self.expression(value) if value is not None else Code("None")

    def _do_tuple(self, node: Call, *_: Any) -> Code:
        inside = [
            self.expression(each.value).text for each in node.arguments if each.value is not None
        ]
        return Code(f"({', '.join(inside)}{',' if len(inside) == 1 else ''})", "py")

    _do_tuple_ = _do_tuple

    def _do_dict(self, node: Call, *_: Any) -> Code:
        return self._do_list_(node)

    _do_dict_ = _do_dict

    def _do_np_array(self, node: Call, *_: Any) -> Code:
        inside = [each for each in node.arguments if each.value is not None]
        data = inside[0].value if inside else None
        parts = [f"r.array({self.expression(data).text})"] if data is not None else []
        parts += [
            f"dtype={self.expression(each.value).text}"
            for each in inside[1:]
            if each.value is not None
        ]
        return Code(f"np.array({', '.join(parts)})", "array")

    def _do_freeze_weights(self, node: Call, *_: Any) -> Code:
        if len(node.arguments) != 1 or node.arguments[0].value is None:
            return self.gap(node, f"{node.name}() of some of the layers")
        text = self.expression(node.arguments[0].value).text
        return Code(f"r.frozen({text}, {node.name != 'freeze_weights'})", "py")

    _do_unfreeze_weights = _do_freeze_weights


def _is_of_calls(node: Node) -> bool:
    """Say whether something is a list of what calls make: layers, and no sizes."""
    return (
        isinstance(node, Call)
        and node.name == "list"
        and bool(node.arguments)
        and all(isinstance(each.value, Call) for each in node.arguments)
    )
