"""Device functions as parts of kernels: compiled for use in kernels, and only there.

Numba optimises each function with all that it calls and makes machine code of it, then does
the same for its caller, callees included: code at the bottom of eight calls is optimised and
translated nine times, of which the first eight are thrown away. Here a part stays as it was
lowered, and the kernel, with all its parts in one module, is optimised and translated once.
Numba also looks for what a + b means at every plus sign anew; here once per pair of types.
Together that more than halves the time to compile, and no bit of a result depends on it:
without fastmath no optimisation of LLVM's changes what is computed.

This changes the inside of numba while a kernel is compiled (`assembling`), nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba import _dynfunc  # type: ignore[attr-defined]
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher, cpu_target
from numba.core.types.functions import BaseFunction

_PARTS_ONLY = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def part(function: Callable[..., Any], **options: Any) -> Part:
    """Makes a part of a function.

    Args:
        function: scalar code.
        options: numba's.
    """
    made = Part(function, targetoptions={"nopython": True, **options, **_PARTS_ONLY})
    made.options = options
    return made


class Part(CPUDispatcher):
    """A function that kernels call. Called from Python it is compiled once more, by itself."""

    options: dict[str, Any]
    _alone: Callable[..., Any] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs it, for tests of one function."""
        if self._alone is None:
            self._alone = numba.njit(**self.options)(self.py_func)
        with assembling():  # what it calls may be a part of a kernel already
            return self._alone(*args, **kwargs)


class _Library(JITCodeLibrary):
    """The code of one function, and what it calls, untouched until it is needed."""

    def add_linking_library(self, library: Any) -> None:
        """Notes a callee, without finishing it first."""
        if isinstance(library, _Library) and not library._finalized:
            self._linking_libraries.append(library)
        else:
            super().add_linking_library(library)

    def finalize(self) -> None:
        """Links all that it calls, directly or not, then optimises and translates."""
        # LLVM leaves out what nobody has asked for yet: callers come before their callees.
        self._linking_libraries = _callees_last(self)[1:]
        super().finalize()

    def _get_module_for_linking(self) -> Any:
        if self._finalized:
            return super()._get_module_for_linking()
        if self._shared_module is None:
            module = self._final_module.clone()
            for function in module.functions:
                if not function.is_declaration and function.linkage.name == "external":
                    function.linkage = "linkonce_odr"  # it may come by several ways
            self._shared_module = module
        return self._shared_module


def _callees_last(library: _Library) -> list[Any]:
    """Returns a library and all that it needs, each before what it calls itself."""
    order: list[Any] = []
    seen = set()

    def visit(one: Any) -> None:
        seen.add(one)
        if not one._finalized:  # one that is brings its callees along
            for other in one._linking_libraries:
                if other not in seen:
                    visit(other)
        order.append(one)

    visit(library)
    return order[::-1]


def _has(library: Any, name: str) -> bool:
    try:
        library.get_function(name)
    except NameError:
        return False
    return True


@contextmanager
def assembling() -> Iterator[None]:
    """Within this, what numba compiles without an entry from Python stays a part."""
    context = cpu_target.target_context
    codegen = context.codegen()
    functions: Any = BaseFunction
    given, look_up = context.get_executable, functions.get_call_type
    known: dict[Any, Any] = {}

    def get_executable(library: Any, descriptor: Any, environment: Any) -> Any:
        if library._finalized or _has(library, descriptor.llvm_cpython_wrapper_name):
            return given(library, descriptor, environment)
        # Numba tells functions apart by this; without an address it is never called.
        module, name = descriptor.lookup_module(), descriptor.qualname.split(".")[-1]
        return _dynfunc.make_function(module, name, "a part", 0, environment, (library,))

    def get_call_type(function: Any, typing: Any, args: Any, names: Any) -> Any:
        key = (function, args, tuple(names.items()))
        found = known.get(key) or look_up(function, typing, args, names)
        if found is not None:
            known[key] = found
        return found

    with global_compiler_lock:
        codegen._library_class, context.get_executable = _Library, get_executable
        functions.get_call_type = get_call_type
        try:
            yield
        finally:
            codegen._library_class = JITCodeLibrary
            del context.get_executable
            functions.get_call_type = look_up
