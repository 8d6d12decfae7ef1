//! The one integration test binary.

mod gguf;
mod tokenizer;
