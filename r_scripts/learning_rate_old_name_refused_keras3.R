#| title: Keras 3 refuses the old name of the learning rate
#| expect-verdict: same-error
#| expect-cause: keras-version
library(keras3)

optimizer_adam(lr = 0.25)
