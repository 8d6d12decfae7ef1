//! Partita: one goal in, finished work out, on one machine, with local files and an open model.
//!
//! # Map
//! A module imports only from rows above it (`tests/it/tidy.rs` holds this).
//!
//! | row | module | one line |
//! |---|---|---|
//! | 0 | [`types`] | plain data that every layer shares |
//! | 1 | [`kernel`] | exact numeric routines on slices, dispatched by CPU features; home of `unsafe` |
//! | 1 | [`gguf`] | bytes of a model file → typed header, metadata, tensor table; memory map |
//! | 1 | [`catalog`] | model manifests; sources (hub, package index, folder), download, verify |
//! | 1 | [`store`] | SQLite: append-only event journal, examples |
//! | 2 | [`tokenizer`] | text ↔ token ids, streaming detokenizer, chat templates |
//! | 2 | [`cache`] | KV: who owns which block, prefix reuse, the memory, prefixes in files |
//! | 2 | [`tool`] | `Tool` trait with JSON Schema, built-ins, permissions, sandbox |
//! | 3 | [`layer`] | what all models share: norm, rotary, attention over the pool, gated MLP, linear |
//! | 3 | [`sample`] | logits → token; grammar masks, forced tokens |
//! | 3 | [`schedule`] | pure: queues and budgets → next batch |
//! | 4 | [`model`] | one decoder driven by a family description |
//! | 5 | [`engine`] | owns model, pool and scheduler on one thread |
//! | 6 | [`memory`] | recall across runs: what worked, as examples |
//! | 7 | [`orchestrate`] | goal → plan → steps → summary |
//! | 8 | [`mod@bench`] | throughput of models, plans and workflows |
//! | 10 | [`cli`] | command line → settings → one call; rendering; exit codes |
//!
//! # Glossary
//! **sequence**: tokens being generated. **batch**: one forward pass. **block**: unit of KV memory.
//! **run**: one goal. **plan**: its steps. **step**: one unit of work. **tool**: what a step calls.
//! **event**: something that happened, journaled. **action**: something to do, decided by the machine.
//! **tile**: 16 rows in a matrix register of the CPU.

pub mod bench;
pub mod cache;
pub mod catalog;
pub mod cli;
pub mod engine;
pub mod gguf;
pub mod kernel;
pub mod layer;
pub mod memory;
pub mod model;
pub mod orchestrate;
pub mod sample;
pub mod schedule;
pub mod store;
pub mod tokenizer;
pub mod tool;
pub mod types;
