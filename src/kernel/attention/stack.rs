//! Which tokens are computed together: planned once per forward pass, from the block tables alone.
//!
//! Tokens whose sequences begin with the same block are put side by side, those that share more blocks next to each
//! other, and cut into stacks. A stack reads a block that all its tokens share once. Which tokens stand in a stack
//! changes what is read, never what is computed for a token.
//! Must not know: layers, windows, threads.

use crate::types::Span;
use std::ops::Range;

/// Query rows of one stack.
const STACK_ROWS: usize = 32;

/// The new tokens of a batch, stacked for attention.
#[derive(Debug)]
pub struct Stacks<'a> {
    spans: &'a [Span],
    queries: Vec<Query>,
    /// Stacks as ranges of `queries`, the ones with most work first.
    ranges: Vec<Range<usize>>,
}

/// A new token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query {
    /// Index of the token's span.
    pub span: usize,
    /// Row of the token in the batch.
    pub row: usize,
    /// Position of the token in its sequence.
    pub position: usize,
}

impl<'a> Stacks<'a> {
    /// Stacks the tokens of `spans` for a model with `group` query heads per KV head.
    ///
    /// # Panics
    /// If `group` is 0.
    pub fn new(spans: &'a [Span], group: usize) -> Self {
        let first_rows: Vec<usize> = spans.iter().scan(0, |row, span| Some(advance(row, span.n_tokens))).collect();
        let mut order: Vec<usize> = (0..spans.len()).collect();
        order.sort_by(|&a, &b| spans[a].blocks.cmp(&spans[b].blocks));
        let mut stacks = Self { spans, queries: Vec::new(), ranges: Vec::new() };
        for family in order.chunk_by(|&a, &b| spans[a].blocks.first() == spans[b].blocks.first()) {
            let first = stacks.queries.len();
            for &span in family {
                let (row, position) = (first_rows[span], spans[span].start);
                let queries = (0..spans[span].n_tokens).map(|i| Query { span, row: row + i, position: position + i });
                stacks.queries.extend(queries);
            }
            stacks.cut(first, (STACK_ROWS / group).max(1));
        }
        let Self { queries, ranges, .. } = &mut stacks;
        let cost = |range: &Range<usize>| queries[range.clone()].iter().map(|query| query.position + 1).sum::<usize>();
        ranges.sort_by_cached_key(|range| std::cmp::Reverse(cost(range)));
        stacks
    }

    /// Cuts the queries from `first` on into stacks of `limit` queries at most, as evenly as they go.
    fn cut(&mut self, first: usize, limit: usize) {
        let end = self.queries.len();
        let n_stacks = (end - first).div_ceil(limit);
        let len = (end - first).div_ceil(n_stacks.max(1)).max(1);
        self.ranges.extend((first..end).step_by(len).map(|start| start..(start + len).min(end)));
    }

    /// The spans that the stacks were made of.
    pub fn spans(&self) -> &'a [Span] {
        self.spans
    }

    pub(super) fn n_tokens(&self) -> usize {
        self.queries.len()
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn stack(&self, stack_idx: usize) -> &[Query] {
        &self.queries[self.ranges[stack_idx].clone()]
    }
}

/// Adds `n` to `at` and returns what it was.
fn advance(at: &mut usize, n: usize) -> usize {
    *at += n;
    *at - n
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::BlockId;

    /// `(blocks, start, tokens)` of every span, heads per KV head, and every stack as `span@position`.
    #[track_caller]
    fn check(spans: &[(&[u32], usize, usize)], group: usize, want: &str) {
        let span = |&(blocks, start, n_tokens): &(&[u32], usize, usize)| {
            let blocks = blocks.iter().map(|&block| BlockId(block)).collect();
            Span { start, n_tokens, blocks, logit_rows: vec![] }
        };
        let spans: Vec<Span> = spans.iter().map(span).collect();
        let stacks = Stacks::new(&spans, group);
        let show = |query: &Query| format!("{}@{}", query.span, query.position);
        let show_all = |i| stacks.stack(i).iter().map(show).collect::<Vec<_>>().join(" ");
        let got: Vec<String> = (0..stacks.len()).map(show_all).collect();
        assert_eq!(got.join(" | "), want);
        let mut rows: Vec<usize> = stacks.queries.iter().map(|query| query.row).collect();
        rows.sort_unstable();
        assert!(rows.into_iter().eq(0..stacks.n_tokens()), "every row once");
    }

    #[test]
    fn tokens_that_share_blocks_stand_together() {
        check(&[], 4, "");
        // A long prompt is cut evenly, its end first.
        check(&[(&[0], 2, 5)], 8, "0@5 0@6 | 0@2 0@3 0@4");
        // More heads than a stack has rows.
        check(&[(&[0], 0, 2)], 40, "0@1 | 0@0");
        // Sequences that share nothing stand alone.
        check(&[(&[0, 1], 40, 1), (&[2, 3], 41, 1)], 1, "1@41 | 0@40");
        // Forks of one prefix stand together, closer relatives side by side, however they came.
        let forks: [(&[u32], usize, usize); 4] =
            [(&[0, 1, 5], 64, 1), (&[7], 3, 1), (&[0, 2], 32, 2), (&[0, 1, 4], 65, 1)];
        check(&forks, 4, "3@65 0@64 2@32 2@33 | 1@3");
        check(&forks, 16, "3@65 0@64 | 2@32 2@33 | 1@3");
    }
}
