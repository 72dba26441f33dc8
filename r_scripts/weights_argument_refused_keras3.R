#| title: Keras 3 layers take no weights when they are made
#| expect-verdict: same-error
#| expect-cause: keras-version
library(keras3)

layer_dense(units = 2, weights = list(matrix(1, 3, 2), array(0, 2)))
