# Support tickets: text_tokenizer(), padded sequences, an embedding, and a yes/no answer.
library(keras)

set.seed(3)
tensorflow::set_random_seed(3)
urgent <- c("server down again", "cannot log in since morning", "payment failed twice",
            "data lost after update", "crash when saving file", "login page shows error")
calm <- c("how do I change my photo", "please add dark mode", "thanks for the quick help",
          "where is the invoice", "can you rename my team", "feature idea for the calendar")
fill <- c("please", "hello", "team", "today", "we", "still", "again", "app")

ticket <- function(pool) paste(sample(fill, 1), sample(pool, 1), sample(fill, 1))
texts <- c(replicate(90, ticket(urgent)), replicate(90, ticket(calm)))
labels <- rep(c(1, 0), each = 90)
order_of <- sample(length(texts))
texts <- texts[order_of]
labels <- labels[order_of]
print(head(texts, 3))

max_words <- 60
max_length <- 8
tokenizer <- text_tokenizer(num_words = max_words)
tokenizer %>% fit_text_tokenizer(texts)
cat("different words:", length(tokenizer$word_index), "\n")

sequences <- texts_to_sequences(tokenizer, texts)
lengths_seen <- sapply(sequences, length)
print(table(lengths_seen))

x <- pad_sequences(sequences, maxlen = max_length, padding = "post")
cat("padded:", dim(x), "largest id:", max(x), "\n")

train <- 1:140
model <- keras_model_sequential() %>%
  layer_embedding(input_dim = max_words, output_dim = 8, input_length = max_length) %>%
  layer_global_average_pooling_1d() %>%
  layer_dense(units = 8, activation = "relu") %>%
  layer_dense(units = 1, activation = "sigmoid")

model %>% compile(
  optimizer = optimizer_adam(learning_rate = 0.01),
  loss = "binary_crossentropy",
  metrics = c("accuracy")
)
history <- model %>% fit(x[train, ], labels[train], epochs = 12, batch_size = 20, verbose = 0)
cat("loss:", round(history$metrics$loss[c(1, 6, 12)], 3), "\n")

held <- predict(model, x[-train, ], verbose = 0)[, 1]
print(table(truth = labels[-train], urgent = held > 0.5))

new <- c("hello server down today", "please rename the calendar")
new_x <- pad_sequences(texts_to_sequences(tokenizer, new), maxlen = max_length, padding = "post")
print(new_x)
score <- predict(model, new_x, verbose = 0)
for (i in seq_along(new)) cat(sprintf("%-28s %s\n", new[i], if (score[i, 1] > 0.5) "urgent" else "calm"))
