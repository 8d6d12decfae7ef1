//! The one integration test binary.

mod catalog;
mod cli;
mod engine;
mod generate;
mod gguf;
mod model;
mod parity;
mod query;
mod resume;
mod run;
mod store;
mod tidy;
mod tokenizer;
