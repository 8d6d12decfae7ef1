//! The one integration test binary.

mod cli;
mod gguf;
mod model;
mod store;
mod tidy;
mod tokenizer;
