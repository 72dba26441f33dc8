"""R's base functions that are translated: their formals, in R's order, and what stands for them."""

from __future__ import annotations

from typing import Final

#: R's name: what stands for it in :mod:`bridge.translate.rbase`, and R's formals in order; these
#: answer to the Python parameters place by place. "..." takes any number.
FUNCTIONS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    name: (python, tuple(formals.split()))
    for name, python, formals in (
        line.split("|")
        for line in """
matrix|matrix|data nrow ncol byrow dimnames
array|make_array|data dim dimnames
as.array|as_array|x dim
array_reshape|array_reshape|x dim order
dim|dim|x
nrow|nrow|x
ncol|ncol|x
NROW|NROW|x
NCOL|NCOL|x
length|length|x
t|t|x
diag|diag|x nrow
rep|rep|x times each length.out
rep_len|rep_len|x length.out
rep.int|rep|x times
seq|seq|from to by length.out along.with
seq.int|seq|from to by length.out along.with
seq_len|seq_len|length.out
seq_along|seq_along|along.with
numeric|numeric|length
double|numeric|length
integer|integer|length
logical|logical|length
character|character|length
vector|make_vector|mode length
rbind|rbind|...
cbind|cbind|...
aperm|aperm|a perm
outer|outer|X Y FUN
factor|factor|x levels labels
as.factor|factor|x
levels|levels|x
nlevels|nlevels|x
data.frame|data_frame|...
as.integer|as_integer|x
as.numeric|as_numeric|x
as.double|as_numeric|x
as.logical|as_logical|x
as.vector|as_vector|x mode
as.matrix|as_matrix|x
data.matrix|as_matrix|x
as.character|as_character|x
as.list|as_list|x
unlist|unlist|x
head|head|x n
tail|tail|x n
append|append|x values
names|names|x
colnames|names|x
setNames|set_names|object nm
unname|unname|obj
exp|exp|x
log|log|x base
log1p|log1p|x
expm1|expm1|x
log2|log2|x
log10|log10|x
sqrt|sqrt|x
sin|sin|x
cos|cos|x
tan|tan|x
asin|asin|x
acos|acos|x
atan|atan|x
sinh|sinh|x
cosh|cosh|x
tanh|tanh|x
abs|abs_|x
sign|sign|x
floor|floor|x
ceiling|ceiling|x
trunc|trunc|x
round|round_|x digits
signif|signif|x digits
sum|sum_|...
prod|prod|...
mean|mean|x na.rm
max|max_|...
min|min_|...
range|range_|...
var|var|x
sd|sd|x na.rm
median|median|x na.rm
cor|cor|x y
cumsum|cumsum|x
cumprod|cumprod|x
cummax|cummax|x
cummin|cummin|x
diff|diff|x lag
colMeans|colMeans|x
rowMeans|rowMeans|x
colSums|colSums|x
rowSums|rowSums|x
scale|scale|x center scale
sweep|sweep|x MARGIN STATS FUN
pmax|pmax|...
pmin|pmin|...
ifelse|ifelse|test yes no
which|which|x
which.max|which_max|x
which.min|which_min|x
max.col|max_col|m ties.method
sort|sort|x decreasing
order|order|x decreasing
rev|rev|x
unique|unique|x
match|match|x table
any|any_|...
all|all_|...
is.na|is_na|x
is.nan|is_na|x
is.finite|is_finite|x
plogis|plogis|q
pnorm|pnorm|q mean sd
dnorm|dnorm|x mean sd
crossprod|crossprod|x y
xor|xor|x y
lapply|lapply|X FUN ...
sapply|sapply|X FUN ...
vapply|vapply|X FUN FUN.VALUE ...
mapply|mapply|FUN ...
Map|Map|f ...
Reduce|Reduce|f x init accumulate
Filter|Filter|f x
do.call|do_call|what args
apply|apply|X MARGIN FUN ...
tapply|tapply|X INDEX FUN
is.null|is_null|x
isTRUE|is_true|x
isFALSE|is_false|x
is.numeric|is_numeric|x
is.character|is_character|x
is.list|is_list|x
is.matrix|is_matrix|x
is.factor|is_factor|x
is.data.frame|is_data_frame|x
is.function|is_function|x
class|class_of|x
inherits|inherits|x what
identical|identical|x y
all.equal|all_equal|target current tolerance
stop|stop|...
stopifnot|stopifnot|...
warning|warning|...
message|warning|...
conditionMessage|condition_message|c
paste|paste|...
paste0|paste0|...
sprintf|sprintf|fmt ...
tempfile|tempfile|pattern tmpdir fileext
tempdir|tempdir|
file.path|file_path|...
file.exists|file_exists|...
format|format_|x ...
formatC|format_|x ...
print|print_|x ...
cat|cat|...
invisible|invisible|x
identity|identity|x
nlevels|nlevels|x
shape|shape|...
abind|abind|...
drop|drop|x
tcrossprod|tcrossprod|x y
Negate|negated|f
is.vector|is_vector|x
""".strip().splitlines()
    )
}

#: Functions that do nothing which Python would have to do.
SILENT: Final = frozenset(
    {
        "library",
        "require",
        "options",
        "set.seed",
        "rm",
        "gc",
        "Sys.setenv",
        "use_condaenv",
        "use_virtualenv",
        "use_python",
        "dev.off",
        "png",
        "pdf",
        "flush.console",
        "setwd",
        "requireNamespace",
        "loadNamespace",
        "Sys.sleep",
        "unlink",
        "data",
        "flush",
        "RNGkind",
    }
)
#: Functions that draw or show: what they are given is made, and nothing is drawn.
DRAWING: Final = frozenset({
    "par", "plot", "lines", "points", "abline", "legend", "hist", "barplot", "str", "axis",
    "title", "text", "grid", "layout", "image", "curve", "matplot", "boxplot", "mtext", "polygon",
    "segments", "matlines", "pairs", "contour", "persp", "View", "rug", "arrows",
})  # fmt: skip

#: Functions that only pass on what they are given.
PASSING: Final = frozenset({
    "suppressWarnings", "suppressMessages", "suppressPackageStartupMessages", "invisible",
    "identity", "force", "I", "r_to_py", "py_to_r", "unclass", "suppressForeignCheck",
})  # fmt: skip

#: Base functions of numbers that may stand for themselves, as an activation for example.
CONSTANTS: Final[dict[str, str]] = {
    "pi": "np.pi", "TRUE": "True", "FALSE": "False", "T": "True", "F": "False", "NULL": "None",
    "NA": "r.NA", "NA_integer_": "r.NA", "NA_real_": "r.NA", "NA_character_": "'NA'",
    "NaN": "np.nan", "Inf": "np.inf",
    "letters": "list('abcdefghijklmnopqrstuvwxyz')",
    "LETTERS": "list('ABCDEFGHIJKLMNOPQRSTUVWXYZ')",
}  # fmt: skip

#: What stands for R's operators in :mod:`bridge.translate.rbase`, where Python's own do not.
COMPARED: Final = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}

OPERATORS: Final = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "^": "power",
    "%%": "mod",
    "%/%": "intdiv",
    "%*%": "matmul",
    "%in%": "isin",
    "%||%": "otherwise",
    "&": "both",
    "|": "either",
    "%o%": "outer",
    "[[": "item",
    "[": "index",
    **COMPARED,
}
