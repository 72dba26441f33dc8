"""Write what the layers of both Keras take where an argument is not given.

    python scripts/keras_signatures.py

It reads the signatures of every class of ``tf_keras.layers`` and ``keras.layers`` that are
installed, and the second names under which they export some, and writes them to
``bridge/facts/keras_signatures.json``. Arguments without a default, and those that all layers have,
are left out. Run it again for another version of either package; a test holds the file to what is
installed.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[1] / "bridge" / "facts" / "keras_signatures.json"
#: Arguments of all layers, which change nothing of what a layer computes.
COMMON = frozenset({"self", "name", "trainable", "dtype", "autocast"})


def signatures() -> dict[str, Any]:
    """Return the table: defaults by generation, class and argument; aliases; versions."""
    import keras
    import tf_keras

    found: dict[str, Any] = {"versions": {}, "aliases": {}, "defaults": {}}
    for generation, package in (("2", tf_keras), ("3", keras)):
        found["versions"][package.__name__] = package.__version__
        found["defaults"][generation] = {}
        for name in sorted(dir(package.layers)):
            layer = getattr(package.layers, name)
            if not isinstance(layer, type) or not issubclass(layer, package.layers.Layer):
                continue
            if layer.__name__ != name:
                found["aliases"][name] = layer.__name__
                continue
            found["defaults"][generation][name] = defaults_of(layer)
    return found


def defaults_of(layer: type) -> dict[str, Any]:
    """Return the defaults of a class, as JSON has them."""
    parameters = inspect.signature(layer.__init__).parameters
    given = {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in COMMON and parameter.default is not inspect.Parameter.empty
    }
    as_json: dict[str, Any] = json.loads(json.dumps(given))
    return as_json


def write() -> None:
    """Write the table, one class a line."""
    table = signatures()
    lines = [
        f'  "{name}": {json.dumps(defaults)}'
        for generation in table["defaults"].values()
        for name, defaults in generation.items()
    ]
    second = len(table["defaults"]["2"])
    parts = [
        f' "versions": {json.dumps(table["versions"])}',
        f' "aliases": {json.dumps(table["aliases"])}',
        ' "defaults": {\n "2": {\n' + ",\n".join(lines[:second]) + "\n },\n"
        ' "3": {\n' + ",\n".join(lines[second:]) + "\n }}",
    ]
    text = "{\n" + ",\n".join(parts) + "\n}\n"
    assert json.loads(text) == table
    TABLE.write_text(text, "utf-8")


if __name__ == "__main__":
    write()
