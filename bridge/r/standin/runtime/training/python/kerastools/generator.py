"""Iterators of R functions that are one item ahead.

An iterator of reticulate before 1.29 asks R for an item when it is asked itself. TensorFlow asks in
a thread of its own, and R answers in the main thread alone, which may wait for that very item: the
training hangs. Later versions can fetch items ahead (``py_iterator(prefetch = 1)``), as Keras' R
packages do. Here the iterators of an older reticulate do the same: what is asked for was fetched,
or is about to be, when the item before it was asked for.
"""

import queue
import threading
from typing import Any

from rpytools import generator


def _fetch(iterator: Any) -> None:
    """Ask R for the next item: in the main thread only. An error is raised when its turn comes."""
    try:
        item = iterator.r_function()
    except Exception as error:  # what an R function raises is handed on
        item = error
    iterator.items.put(item)


def _order(iterator: Any) -> None:
    """Have the next item fetched: now in the main thread, soon from any other."""
    if threading.current_thread() is threading.main_thread():
        _fetch(iterator)
    else:
        generator.rpycall.call_python_function_on_main_thread(lambda: _fetch(iterator), None)


def _next(iterator: Any) -> Any:
    if not hasattr(iterator, "items"):
        iterator.items, iterator.ended = queue.Queue(), False
        _order(iterator)
    if iterator.ended:
        raise StopIteration
    item = iterator.items.get()
    iterator.ended = item is iterator.completed or isinstance(item, Exception)
    if isinstance(item, Exception):
        raise item
    if iterator.ended:
        raise StopIteration
    _order(iterator)
    return item


if not hasattr(generator.RGenerator, "_tend_queue"):
    generator.RGenerator.next = _next
