//! Attention of a batch's new tokens to their own sequences, through block tables over the KV pool.
//!
//! Invariant: the keys and values of all rows are stored before any row attends, so sequences of one batch may share
//! blocks that are filled by it.
//! Source: grouping arXiv:2305.13245, block tables arXiv:2309.06180.

use std::sync::Arc;

use candle_core::Tensor;

use super::{Error, host};
use crate::cache::KvPool;
use crate::kernel::{self, Stacks, Threads};

/// How one layer attends.
pub struct Attention {
    /// Index of the layer in the pool.
    pub layer: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Factor of the query-key products.
    pub scale: f32,
    /// How many of the latest positions a query sees, its own included; `None` is all.
    pub window: Option<usize>,
    /// Where the work is done.
    pub threads: Arc<Threads>,
}

impl Attention {
    /// Stores the keys and values of every row, then attends.
    ///
    /// # Shapes
    /// - `query`: `[n_tokens, n_heads * head_dim]`, rotated, not yet scaled
    /// - `key`, `value`: `[n_tokens, n_kv_heads * head_dim]`, keys rotated
    /// - returns what `query` is
    ///
    /// Rows are in order of the spans of `stacks`.
    ///
    /// # Errors
    /// Other shapes.
    ///
    /// # Panics
    /// If the spans' blocks do not lie in the pool or do not cover the spans' positions.
    pub fn forward(
        &self,
        [query, key, value]: [&Tensor; 3],
        stacks: &Stacks<'_>,
        pool: &mut KvPool,
    ) -> Result<Tensor, Error> {
        let (layout, spans) = (pool.shape(), stacks.spans());
        let n_tokens: usize = spans.iter().map(|span| span.n_tokens).sum();
        let width = |n_heads: usize| (n_tokens, n_heads * layout.head_dim);
        let found = [query.dims2()?, key.dims2()?, value.dims2()?];
        let wanted = [width(self.n_heads), width(layout.n_kv_heads), width(layout.n_kv_heads)];
        if found != wanted {
            let (wanted, found) = (format!("{wanted:?}"), format!("{found:?}"));
            return Err(Error::Shape { part: "attention", wanted, found });
        }
        host::read("store", key, |key| {
            host::read("store", value, |value| {
                layout.store_rows(pool.data_mut(), self.layer, spans, (key, value), &self.threads);
            })
        })??;
        let attention = kernel::Attention {
            layout,
            layer: self.layer,
            n_heads: self.n_heads,
            scale: self.scale,
            softcap: None,
            window: self.window,
            pool: pool.data(),
            stacks,
        };
        Ok(host::map("attention", query, query.shape(), |query, out| {
            kernel::attention(&attention, query, out, &self.threads);
        })?)
    }
}
