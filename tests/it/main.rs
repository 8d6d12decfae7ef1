//! The one integration test binary.

mod cli;
mod gguf;
mod store;
mod tidy;
mod tokenizer;
