"""The R text that a coercion table becomes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.r.standin import build, generate
from bridge.r.standin.generate import (
    ExportedWrapper,
    Mode,
    PackageTable,
    TableError,
    WrapperArgument,
    amend,
    read_table,
    read_tables,
    table_path,
    wrapper,
)

KINDS = frozenset({"as_is", "as_integer", "inputs_list"})

DENSE = ExportedWrapper(
    python="keras.layers.Dense",
    formals=(("object", None), ("units", None), ("activation", "NULL"), ("name", "NULL")),
    sends="all",
    composes=True,
    forces="layer-first",
    drops_null=("name",),
    arguments={
        "units": WrapperArgument(to="units", kind="as_integer"),
        "activation": WrapperArgument(to="activation", kind="as_is"),
        "name": WrapperArgument(to="name", kind="as_is"),
    },
)


def text_of(function: ExportedWrapper, name: str = "layer_x") -> str:
    return wrapper(name, function, "keras", KINDS)


def test_a_wrapper_has_the_formals_of_the_real_one_in_their_order() -> None:
    assert text_of(DENSE).startswith(
        "layer_x <- function(object, units, activation = NULL, name = NULL) {\n"
    )


def test_each_argument_crosses_through_its_kind() -> None:
    text = text_of(DENSE)
    assert "units = kind_as_integer(units)" in text
    assert "activation = activation" in text
    assert "keras$layers$Dense" in text


def test_what_is_not_sent_when_null_is_named() -> None:
    assert 'drop = c("name")' in text_of(DENSE)


def test_typed_arguments_only_are_sent_where_the_table_says_so() -> None:
    text = text_of(DENSE.model_copy(update={"sends": "typed"}))
    assert ".call <- match.call()" in text
    assert "typed_arguments(.call" in text
    assert "units = kind_as_integer" in text


def test_a_renamed_argument_reaches_python_under_its_own_name() -> None:
    function = DENSE.model_copy(
        update={
            "arguments": DENSE.arguments | {"name": WrapperArgument(to="function", kind="as_is")}
        }
    )
    assert "`function` = name" in text_of(function)
    typed = text_of(function.model_copy(update={"sends": "typed"}))
    assert 'to = c(name = "function")' in typed


def test_an_argument_sent_by_position_comes_first() -> None:
    function = ExportedWrapper(
        python="keras.activations.gelu",
        formals=(("x", None), ("approximate", "FALSE")),
        sends="all",
        arguments={
            "x": WrapperArgument(to=0, kind="as_is"),
            "approximate": WrapperArgument(to=1, kind="as_is"),
        },
    )
    assert 'first = c("x", "approximate")' in text_of(function)


def test_an_argument_of_unknown_kind_refuses_when_it_is_used() -> None:
    function = DENSE.model_copy(
        update={"arguments": DENSE.arguments | {"activation": WrapperArgument(kind="magic")}}
    )
    refusal = 'refuse_argument("layer_x", "activation", "keras")'
    assert f"if (missing(activation)) activation else (function(x) {refusal})" in text_of(function)
    assert f"activation = function(x) {refusal}" in text_of(
        function.model_copy(update={"sends": "typed"})
    )


def test_an_argument_that_the_table_does_not_mention_refuses() -> None:
    function = DENSE.model_copy(update={"arguments": {}})
    assert 'refuse_argument("layer_x", "units", "keras")' in text_of(function)


@pytest.mark.parametrize(
    "function", [ExportedWrapper(), DENSE.model_copy(update={"sends": "unknown"})]
)
def test_a_function_that_was_not_measured_refuses(function: ExportedWrapper) -> None:
    assert 'refuse_function("layer_x", "keras")' in text_of(function)


def test_constants_always_cross() -> None:
    function = DENSE.model_copy(update={"constants": {"activation": "selu", "axis": -1}})
    assert 'add = list(activation = "selu", axis = -1L)' in text_of(function)


def test_a_merging_layer_calls_python_when_it_is_given_inputs() -> None:
    function = ExportedWrapper(
        python="keras.layers.Add",
        formals=(("inputs", None), ("...", None)),
        sends="typed",
        arguments={"inputs": WrapperArgument(to=0, kind="inputs_list")},
        modes={
            "called": Mode(
                python="keras.layers.add",
                sends="all",
                arguments={"inputs": WrapperArgument(to=0, kind="inputs_list")},
            )
        },
    )
    text = text_of(function)
    assert "if (!missing(inputs)) {\n" in text
    assert "return(call_python(keras$layers$add" in text
    assert "inputs = kind_inputs_list(inputs, unnamed_dots(environment()))" in text


def test_a_loss_is_a_function_when_it_is_given_values() -> None:
    function = ExportedWrapper(
        python="keras.losses.Hinge",
        formals=(("y_true", None), ("y_pred", None), ("name", '"hinge"')),
        sends="typed",
        arguments={
            name: WrapperArgument(to=name, kind="as_is") for name in ("y_true", "y_pred", "name")
        },
        modes={
            "function": Mode(
                python="keras.losses.hinge",
                sends="typed",
                arguments={"name": WrapperArgument(kind="refused")},
            )
        },
        py_function_name="hinge",
    )
    text = text_of(function, "loss_hinge")
    assert "if (!missing(y_true) || !missing(y_pred)) {" in text
    assert 'refuse("unused argument (name)"' in text
    assert 'attr(loss_hinge, "py_function_name") <- "hinge"' in text


def test_a_method_is_looked_up_on_its_object() -> None:
    function = ExportedWrapper(
        python="keras.Model.to_json",
        formals=(("object", None),),
        sends="all",
        method=True,
        arguments={"object": WrapperArgument(to="self", kind="as_is")},
    )
    assert "call_python(object$to_json, list())" in text_of(function)


@pytest.mark.parametrize(
    ("name", "written"),
    [("layer_dense", "layer_dense"), ("%>%", "`%>%`"), ("function", "`function`"), ("...", "...")],
)
def test_names_are_written_as_r_reads_them(name: str, written: str) -> None:
    assert generate.r_name(name) == written


def test_strings_are_escaped() -> None:
    assert generate.r_string('a"b\\c\n') == '"a\\"b\\\\c\\n"'


def package(runtime: dict[str, str], table: PackageTable | None = None) -> dict[str, str]:
    spec = generate.Package("keras", "Stand-in", ("reticulate",), ())
    return generate.generate(spec, table, runtime)


def test_description_says_that_this_is_a_stand_in() -> None:
    text = package({})["DESCRIPTION"]
    assert "Version: 0.0.9999\n" in text
    assert f"{generate.MARKER}: standin\n" in text
    assert "stand-in" in text.lower()


def test_the_version_is_the_one_that_was_measured() -> None:
    table = PackageTable(package="keras", version="2.16.1")
    assert "Version: 2.16.1.9999\n" in package({}, table)["DESCRIPTION"]


def test_exports_are_the_generated_and_the_tagged_ones() -> None:
    table = PackageTable(
        package="keras",
        version="1",
        exports=("layer_dense", "k_odd"),
        functions={"layer_dense": DENSE},
    )
    runtime = {"R/a.R": "#' @export\nfit <- function() 1\n\nhidden <- function() 2\n"}
    names = package(runtime, table)["NAMESPACE"].splitlines()
    assert names == ["export(fit)", "export(k_odd)", "export(layer_dense)"]


def test_an_export_without_a_measured_rule_refuses() -> None:
    table = PackageTable(package="keras", version="1", exports=("k_odd",))
    text = package({}, table)["R/wrappers.R"]
    assert 'k_odd <- function(...) refuse_function("k_odd", "keras")' in text


def test_a_function_written_by_hand_is_not_generated_again() -> None:
    table = PackageTable(package="keras", version="1", functions={"fit": DENSE})
    text = package({"R/a.R": "#' @export\nfit <- function() 1\n"}, table)["R/wrappers.R"]
    assert "fit <-" not in text


def test_a_hidden_function_with_the_name_of_an_export_is_an_error() -> None:
    table = PackageTable(package="keras", version="1", functions={"layer_dense": DENSE})
    with pytest.raises(ValueError, match="layer_dense"):
        package({"R/a.R": "layer_dense <- function() 1\n"}, table)


def test_methods_and_reexports_reach_namespace() -> None:
    runtime = {
        "R/a.R": "#' @method print thing\nprint.thing <- function(x) 1\n"
        "#' @import reticulate\n#' @reexport stats::predict\n"
    }
    lines = package(runtime)["NAMESPACE"].splitlines()
    assert lines == [
        "import(reticulate)",
        "importFrom(stats, predict)",
        "export(predict)",
        'S3method("print", "thing")',
    ]


def test_a_misspelt_tag_is_an_error() -> None:
    with pytest.raises(ValueError, match="@exprot"):
        package({"R/a.R": "#' @exprot\nf <- 1\n"})


def test_the_same_table_gives_the_same_text() -> None:
    assert build.sources() == build.sources()


@pytest.mark.parametrize("package", [spec.name for spec in generate.PACKAGES])
def test_a_package_exports_what_the_real_one_exports(package: str) -> None:
    table = read_tables()[package]
    namespace = build.sources()[package]["NAMESPACE"]
    exported = {name.strip('"') for name in re.findall(r"^export\((.*)\)$", namespace, re.M)}
    assert exported == set(table.exports)


def test_every_method_named_in_the_runtime_is_defined_there() -> None:
    for spec in generate.PACKAGES:
        runtime = build.runtime_files(spec)
        defined = generate.defined_in(runtime)
        missing = {
            f"{generic}.{cls}"
            for generic, cls in generate.tags_in(runtime).methods
            if f"{generic}.{cls}" not in defined
        }
        assert missing == set()


def test_the_runtime_has_each_kind_once() -> None:
    for spec in generate.PACKAGES:
        text = "\n".join(build.runtime_files(spec).values())
        found = generate._DEFINED_KIND.findall(text)
        assert len(found) == len(set(found))


def test_a_damaged_table_is_named_in_the_error(tmp_path: Path) -> None:

    path = tmp_path / "keras-0.json"
    path.write_text('{"package": "keras", "version": 3}', encoding="utf-8")
    with pytest.raises(TableError, match=r"keras-0\.json"):
        read_table(path)


def test_the_newest_version_counts_and_not_the_last_in_the_alphabet(tmp_path: Path) -> None:
    for name in ("keras-2.9.0", "keras-2.16.1", "keras3-1.9.9", "keras3-1.10.0", "keras3-1.5.1"):
        package, _, version = name.partition("-")
        text = f'{{"package": "{package}", "version": "{version}"}}'
        (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
    versions = {name: table.version for name, table in read_tables(tmp_path).items()}
    assert versions == {"keras": "2.16.1", "keras3": "1.10.0"}
    assert table_path("keras3", tmp_path) == tmp_path / "keras3-1.10.0.json"
    assert build.sources(tmp_path)["keras3"]["DESCRIPTION"].count("Version: 1.10.0.9999") == 1
    with pytest.raises(TableError, match="no table tensorflow-<version>"):
        table_path("tensorflow", tmp_path)


def amended(function: ExportedWrapper, name: str = "layer_x", package: str = "keras") -> str:
    return wrapper(name, amend(package, name, function), package, KINDS | {"as_index"})


@pytest.mark.parametrize("constants", [{"1": "/tmp/x.h5"}, {"units": 3}])
def test_a_call_with_accidents_of_measuring_in_it_is_refused(constants: dict[str, object]) -> None:
    assert "refuse_function" in amended(DENSE.model_copy(update={"constants": constants}))


def test_of_a_choice_without_choices_only_the_default_is_taken() -> None:
    function = DENSE.model_copy(
        update={
            "formals": (("object", None), ("padding", '"valid"')),
            "arguments": {"padding": WrapperArgument(to="padding", kind="choice")},
        }
    )
    assert 'if (identical(x, "valid")) x else refuse_argument' in amended(function)


def test_a_question_asked_before_the_call_is_asked() -> None:
    text = amended(DENSE, "layer_lambda")
    assert text.index("keras$backend$backend()") < text.index("make_layer(")


def test_a_function_that_gives_its_object_back_does_so_without_printing_it() -> None:
    function = ExportedWrapper(
        python="keras.Model.reset_states",
        formals=(("object", None),),
        sends="all",
        method=True,
        arguments={"object": WrapperArgument(to="self", kind="as_is")},
    )
    text = amended(function, "reset_states")
    assert text.endswith("  call_python(object$reset_states, list())\n  invisible(object)\n}\n")


def test_results_that_count_from_zero_count_from_one_in_r() -> None:
    function = ExportedWrapper(
        python="keras.ops.argmax",
        formals=(("x", None), ("zero_indexed", "FALSE")),
        sends="typed",
        arguments={
            "x": WrapperArgument(to="x", kind="as_index"),
            "zero_indexed": WrapperArgument(kind="ignored"),
        },
        returns="when Python returns 0, R gets 1",
        returns_zero_indexed="0",
    )
    text = amended(function, "op_argmax", "keras3")
    assert "one_based(call_python(keras$ops$argmax" in text
    assert "if (isTRUE(zero_indexed)) x else kind_as_index(x)" in text


def test_what_crosses_though_it_was_not_typed_is_written_down() -> None:
    function = DENSE.model_copy(
        update={
            "sends": "typed",
            "arguments": DENSE.arguments
            | {"activation": WrapperArgument(to="activation", kind="as_is", when_omitted="'relu'")},
        }
    )
    assert 'omitted = list(activation = "relu")' in text_of(function)


def test_every_error_of_the_runtime_says_whether_it_was_measured() -> None:
    bare = [
        f"{path.name}: {line.strip()}"
        for path in sorted(build.RUNTIME.rglob("*.R"))
        if path.name != "refuse.R"
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"\bstop\(", line) and "stop(current)" not in line
    ]
    assert bare == []
