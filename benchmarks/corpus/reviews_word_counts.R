# Reviews as word counts, with the tokenizer of an earlier course, in keras3.
library(keras3)

set.seed(383)
good <- c("great", "lovely", "fast", "friendly", "clean")
bad <- c("slow", "dirty", "rude", "broken", "cold")
plain <- c("room", "hotel", "food", "staff", "the", "was", "and")
review <- function(words) paste(sample(c(sample(words, 3), sample(plain, 4))), collapse = " ")
texts <- c(replicate(60, review(good)), replicate(60, review(bad)))
stars <- rep(c(1, 0), each = 60)
mix <- sample(120)
texts <- texts[mix]
stars <- stars[mix]
cat(texts[1], "\n")
cat("words:", length(unique(unlist(strsplit(texts, " ")))), "\n")

tokenizer <- text_tokenizer(num_words = 20)
tokenizer |> fit_text_tokenizer(texts)
counts <- texts_to_matrix(tokenizer, texts, mode = "count")
cat("matrix:", dim(counts), "\n")

train <- 1:90
model <- keras_model_sequential(input_shape = ncol(counts)) |>
  layer_dense(8, activation = "relu", kernel_initializer = initializer_he_normal(seed = 1)) |>
  layer_dense(1, activation = "sigmoid", kernel_initializer = initializer_he_normal(seed = 2))
model |> compile(optimizer = optimizer_adam(0.02), loss = "binary_crossentropy", metrics = "accuracy")
history <- model |> fit(counts[train, ], stars[train], epochs = 10, batch_size = 15,
                        shuffle = FALSE, verbose = 0)
cat("accuracy:", round(tail(history$metrics$accuracy, 1), 2), "\n")
p <- predict(model, counts[-train, ], verbose = 0)[, 1]
print(table(stars = stars[-train], said = as.integer(p > 0.5)))
