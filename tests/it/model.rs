//! The forward pass of every family: chunked, batched and forked sequences give the same logits, bit for bit, as one
//! sequence computed alone in one pass.

use std::sync::Arc;

use partita::cache::{Cache, KvPool};
use partita::gguf::Gguf;
use partita::model::{LoadOptions, Model, tiny};
use partita::types::{BLOCK_TOKENS, Batch, BlockId, Dtype, Span, Token};

const N_BLOCKS: usize = 64;

fn load(spec: &tiny::TinySpec) -> Model {
    let gguf = Gguf::from_bytes("tiny.gguf", tiny::to_bytes(spec)).unwrap();
    Model::load(&Arc::new(gguf), LoadOptions::default()).unwrap()
}

fn tokens(seed: u32, n: usize) -> Vec<Token> {
    (0..n as u32).map(|i| (i * i * 7 + i * (seed + 3) + seed * 31) % tiny::N_VOCAB as u32).collect()
}

fn blocks(first: usize, n_tokens: usize) -> Vec<BlockId> {
    (first..first + n_tokens.div_ceil(BLOCK_TOKENS)).map(|block| BlockId(block as u32)).collect()
}

/// A span over `start..end` that wants all its logits.
fn span(start: usize, end: usize, blocks: &[BlockId]) -> Span {
    let n_tokens = end - start;
    Span { start, n_tokens, blocks: blocks.to_vec(), logit_rows: (0..n_tokens).collect() }
}

/// Every row's logits of one sequence in one pass, in a pool of its own.
fn alone(model: &Model, tokens: &[Token]) -> Vec<f32> {
    let mut pool = KvPool::new(model.kv_shape(), N_BLOCKS);
    let spans = vec![span(0, tokens.len(), &blocks(0, tokens.len()))];
    model.forward(&Batch { tokens: tokens.to_vec(), spans }, &mut pool).unwrap().rows
}

fn check_same(name: &str, what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{name}, {what}");
    let differ = got.iter().zip(want).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    assert_eq!(differ, 0, "{name}, {what}: logits that differ");
    assert!(got.iter().all(|x| x.is_finite()), "{name}, {what}");
}

#[test]
fn chunks_equal_one_pass() {
    for (name, spec) in tiny::families(Dtype::Q8_0) {
        let model = load(&spec);
        let tokens = tokens(1, 150);
        let want = alone(&model, &tokens);
        for chunk in [1, 7, 32, 64] {
            let mut pool = KvPool::new(model.kv_shape(), N_BLOCKS);
            let blocks = blocks(5, tokens.len());
            let mut got = Vec::new();
            for start in (0..tokens.len()).step_by(chunk) {
                let end = (start + chunk).min(tokens.len());
                let spans = vec![span(start, end, &blocks)];
                got.extend(
                    model.forward(&Batch { tokens: tokens[start..end].to_vec(), spans }, &mut pool).unwrap().rows,
                );
            }
            check_same(name, &format!("chunks of {chunk}"), &got, &want);
        }
    }
}

#[test]
fn a_batch_equals_each_sequence_alone() {
    for (name, spec) in tiny::families(Dtype::Q8_0) {
        let model = load(&spec);
        let n_tokens = [1, 70, 33, 2, 100];
        let sequences: Vec<Vec<Token>> = n_tokens.iter().zip(2..).map(|(&n, seed)| tokens(seed, n)).collect();
        let mut pool = KvPool::new(model.kv_shape(), N_BLOCKS);
        let mut batch = Batch::default();
        for (i, tokens) in sequences.iter().enumerate() {
            batch.tokens.extend(tokens);
            batch.spans.push(span(0, tokens.len(), &blocks(i * 8, tokens.len())));
        }
        let got = model.forward(&batch, &mut pool).unwrap().rows;
        let want: Vec<f32> = sequences.iter().flat_map(|tokens| alone(&model, tokens)).collect();
        check_same(name, "a ragged batch", &got, &want);
    }
}

#[test]
fn forks_equal_each_sequence_alone() {
    for (name, spec) in tiny::families(Dtype::Q8_0) {
        let model = load(&spec);
        let mut cache = Cache::new(N_BLOCKS);
        let mut pool = KvPool::new(model.kv_shape(), N_BLOCKS);
        let parent = tokens(1, 77);
        for (i, n_shared) in [0, 77, 40, 64].into_iter().enumerate() {
            let tokens = [&parent[..n_shared], &tokens(50 + i as u32, 30)[..]].concat();
            let prefix = cache.reuse(&tokens[..tokens.len() - 1], &mut pool);
            assert!(prefix.n_tokens >= n_shared.min(if i == 0 { 0 } else { 77 }), "{name}: {} reused", prefix.n_tokens);
            let mut blocks = prefix.blocks;
            cache.grow(&mut blocks, tokens.len(), &pool).unwrap();
            let spans = vec![span(prefix.n_tokens, tokens.len(), &blocks)];
            let batch = Batch { tokens: tokens[prefix.n_tokens..].to_vec(), spans };
            let got = model.forward(&batch, &mut pool).unwrap().rows;
            let want = alone(&model, &tokens);
            check_same(name, "a fork", &got, &want[prefix.n_tokens * model.config().n_vocab..]);
            cache.insert(&tokens, &blocks);
            cache.release(blocks);
            if i == 0 {
                let mut blocks = cache.reuse(&[], &mut pool).blocks;
                cache.grow(&mut blocks, parent.len(), &pool).unwrap();
                let spans = vec![span(0, parent.len(), &blocks)];
                model.forward(&Batch { tokens: parent.clone(), spans }, &mut pool).unwrap();
                cache.insert(&parent, &blocks);
                cache.release(blocks);
            }
        }
        cache.clear();
        assert_eq!(cache.n_free(), N_BLOCKS);
    }
}

#[test]
fn only_wanted_rows_have_logits() {
    let model = load(&tiny::TinySpec::default());
    let tokens = tokens(3, 20);
    let want = alone(&model, &tokens);
    let n_vocab = model.config().n_vocab;
    for rows in [vec![], vec![19], vec![0, 7, 8]] {
        let mut pool = KvPool::new(model.kv_shape(), N_BLOCKS);
        let spans = vec![Span { logit_rows: rows.clone(), ..span(0, 20, &blocks(0, 20)) }];
        let got = model.forward(&Batch { tokens: tokens.clone(), spans }, &mut pool).unwrap();
        assert_eq!(got.n_rows(), rows.len());
        let want: Vec<f32> = rows.iter().flat_map(|row| want[row * n_vocab..][..n_vocab].to_vec()).collect();
        check_same("llama", &format!("rows {rows:?}"), &got.rows, &want);
    }
}

#[test]
fn wanted_tokens_have_the_logits_of_whole_rows() {
    for (name, spec) in tiny::families(Dtype::Q8_0).into_iter().chain(tiny::encodings()) {
        let model = load(&spec);
        let (tokens, n_vocab) = (tokens(3, 12), model.config().n_vocab);
        let want = alone(&model, &tokens);
        let wanted = |row: usize| match row % 4 {
            0 => None,
            1 => Some(vec![7, 8, 40, n_vocab as Token - 1]),
            2 => Some(vec![]),
            _ => Some(vec![(row * 13 % n_vocab) as Token]),
        };
        let mut pool = KvPool::new(model.kv_shape(), N_BLOCKS);
        let spans = vec![span(0, 12, &blocks(0, 12))];
        let batch = Batch { tokens: tokens.clone(), spans };
        let mut got = model.forward_wanted(&batch, &mut pool, |n_rows| (0..n_rows).map(wanted).collect()).unwrap();
        assert_eq!((got.n_rows(), got.rows.len()), (12, 3 * n_vocab));
        for (row, got) in got.rows_mut().into_iter().enumerate() {
            let whole = &want[row * n_vocab..][..n_vocab];
            let tokens = wanted(row);
            let want = tokens.map_or(whole.to_vec(), |tokens| tokens.iter().map(|&t| whole[t as usize]).collect());
            check_same(name, &format!("row {row}"), got, &want);
        }
    }
}

#[test]
fn a_window_hides_what_is_older() {
    let window = 40;
    let keys = vec![("attention.sliding_window", partita::gguf::write::Value::U32(window))];
    let spec = tiny::TinySpec { n_layers: 1, keys, ..tiny::TinySpec::default() };
    let (windowed, full) = (load(&spec), load(&tiny::TinySpec { n_layers: 1, ..tiny::TinySpec::default() }));
    let tokens = tokens(1, 90);
    let n_vocab = full.config().n_vocab;
    let rows = |model: &Model| alone(model, &tokens).chunks_exact(n_vocab).map(<[f32]>::to_vec).collect::<Vec<_>>();
    let (windowed, full) = (rows(&windowed), rows(&full));
    assert_eq!(windowed[..40], full[..40]);
    assert!((40..90).all(|row| windowed[row] != full[row]));
}

#[test]
fn every_encoding_runs() {
    for (name, spec) in tiny::encodings() {
        let model = load(&spec);
        let logits = alone(&model, &tokens(9, 10));
        let (low, high) = logits.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)));
        assert!(logits.iter().all(|x| x.is_finite()) && high - low > 1.0, "{name}: {low} to {high}");
    }
}
