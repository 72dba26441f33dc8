# Sweet or savoury: recipes through a text vectorisation layer and an embedding.
library(keras3)

set.seed(43)
set_random_seed(43)
sweet <- c("sugar", "vanilla", "chocolate", "honey", "cream", "berries")
savoury <- c("garlic", "onion", "pepper", "thyme", "bacon", "beans")
both <- c("butter", "flour", "salt", "eggs", "milk", "water")

recipe <- function(words) {
  chosen <- c(sample(words, 3), sample(both, 3))
  paste("mix", paste(sample(chosen), collapse = ", "), "and bake.")
}
texts <- c(replicate(80, recipe(sweet)), replicate(80, recipe(savoury)))
sweetness <- rep(c(1, 0), each = 80)
order_new <- sample(160)
texts <- texts[order_new]
sweetness <- sweetness[order_new]
cat(texts[1], "\n")
cat("words in a text:", range(lengths(strsplit(texts, "[ ,.]+"))), "\n")

vectorise <- layer_text_vectorization(max_tokens = 40, output_mode = "int",
                                      output_sequence_length = 10)
vectorise |> adapt(texts)
vocabulary <- get_vocabulary(vectorise)
cat("vocabulary:", length(vocabulary), "\n")
print(head(vocabulary, 5))

ids <- as.array(vectorise(texts))
cat("ids:", dim(ids), " from", min(ids), "to", max(ids), "\n")
print(ids[1, ])

model <- keras_model_sequential(input_shape = 10) |>
  layer_embedding(input_dim = length(vocabulary), output_dim = 6) |>
  layer_global_average_pooling_1d() |>
  layer_dense(1, activation = "sigmoid")
model |> compile(optimizer = optimizer_adam(0.05), loss = "binary_crossentropy", metrics = "accuracy")
history <- model |> fit(ids[1:120, ], sweetness[1:120], epochs = 12, batch_size = 20, verbose = 0)
cat("final accuracy at least 0.9:", tail(history$metrics$accuracy, 1) >= 0.9, "\n")

held <- predict(model, ids[121:160, ], verbose = 0)[, 1] > 0.5
print(table(sweet = sweetness[121:160], said = as.integer(held)))

fresh <- c("melt chocolate and honey", "fry onion with bacon")
p <- predict(model, as.array(vectorise(fresh)), verbose = 0)[, 1]
names(p) <- c("dessert", "stew")
print(p > 0.5)
