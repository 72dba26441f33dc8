"""What R's own functions are."""

from __future__ import annotations

from typing import Final

#: Functions of R's packages base and stats whose results are chance, drawn by R's generator.
DRAWING: Final = frozenset({
    "rbeta", "rbinom", "rcauchy", "rchisq", "rexp", "rf", "rgamma", "rgeom", "rhyper", "rlnorm",
    "rlogis", "rmultinom", "rnbinom", "rnorm", "rpois", "rsignrank", "rt", "runif", "rweibull",
    "rwilcox", "rWishart", "sample", "sample.int",
})  # fmt: skip

#: The function that seeds R's generator, and no other.
SEEDING_R: Final = "set.seed"

#: Functions of the packages keras, keras3 and tensorflow that seed the generators of TensorFlow.
SEEDING_KERAS: Final = frozenset({"set_random_seed", "set_seed", "use_session_with_seed"})

#: What an integer of R holds where it is missing.
NA_INTEGER: Final = -(2**31)

#: What R calls errors that have no class of their own; where there is one, the message has it.
UNCLASSED_ERRORS: Final = frozenset({
    "Rcpp::exception", "simpleError", "error", "rlang_error", "condition",
})  # fmt: skip
