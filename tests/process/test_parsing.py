"""Text is parsed while objects are collected whose finalisers parse as well."""

from __future__ import annotations

import subprocess
import sys

PARSING = """
import ast
import gc
from bridge.process.environment import parse_within_finalisers

class Parses:
    def __init__(self):
        self.itself = self

    def __del__(self):
        ast.parse("1")

parse_within_finalisers()
text = "f(" + "+".join(map(str, range(300))) + ")\\n"
deeper = lambda left: deeper(left - 1) if left else ast.parse(text * 5)
for depth in range(20):
    Parses()
    assert ast.dump(deeper(depth)) == ast.dump(ast.parse(text * 5))
    gc.collect()
try:
    ast.parse("1 +")
except SyntaxError as error:
    assert error.msg == "invalid syntax"
"""


def test_a_finaliser_that_parses_disturbs_no_text_that_is_being_parsed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARSING], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
