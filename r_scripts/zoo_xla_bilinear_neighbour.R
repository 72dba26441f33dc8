#| title: XLA takes a wrong neighbour when it enlarges bilinearly by three
#| expect-verdict: different
#| expect-cause: xla
#| upstream: tensorflow#118344
#| seen-with: tensorflow 2.21.0
#
# The line 1, 2, 3, 4 enlarged three times rises by a third from place to place. XLA gives 3 where
# 2 stands.
library(keras3)

model <- keras_model_sequential(input_shape = c(4, 4, 1)) |>
  layer_upsampling_2d(size = 3, interpolation = "bilinear")
compile(model, optimizer = "sgd", loss = "mse", jit_compile = TRUE)

image <- array(rep(1:4, each = 4), c(1, 4, 4, 1))
print(round(predict(model, image, verbose = 0)[1, 1, , 1], 3))
