//! The one integration test binary.

mod gguf;
mod store;
mod tidy;
mod tokenizer;
