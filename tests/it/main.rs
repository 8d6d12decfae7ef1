//! The one integration test binary.

// Figures of the real-model tests; the harness keeps the output of the others to itself.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod catalog;
mod cli;
mod decode;
mod engine;
mod generate;
mod gguf;
mod memory;
mod model;
mod parity;
mod permission;
mod plan;
mod query;
mod resume;
mod run;
mod script;
mod store;
mod tidy;
mod tokenizer;
