//! The one forward pass of all families.
//!
//! Invariants: every part that is there was asked for by the [`Family`]; nothing in the pass looks at anything but
//! the parts. Rows that nobody wants logits of stop after the last layer's keys and values are written.
//! Must not know: architectures by name, how a part runs on a device.

use std::path::PathBuf;
use std::sync::Arc;

use candle_core::Tensor;

use super::Error;
use super::batch::Plan;
use super::config::Config;
use super::family::Family;
use super::fingerprint;
use super::packed::{Kept, Matrices};
use super::weights::Weights;
use crate::cache::{KvPool, KvShape};
use crate::gguf::Gguf;
use crate::kernel::Threads;
use crate::layer::{self, Angles, Attention, Embedding, Linear, Mlp, RmsNorm, Rotary};
use crate::types::{Batch, Precision, TileUse, Token};

/// What a caller may choose about a model.
#[derive(Default, Clone)]
pub struct LoadOptions {
    /// Lowers the context from what the model was trained for; `None` keeps that.
    pub n_ctx: Option<usize>,
    /// Compute threads; `None` starts as many as the machine has to offer.
    pub threads: Option<Arc<Threads>>,
    /// How finely activations are rounded.
    pub precision: Precision,
    /// Where the packed weights may be kept in a file, best place first; empty keeps none.
    pub packed_places: Vec<PathBuf>,
    /// Whether passes of many rows take tiles; with activations of 16 bits they never do.
    pub tiles: TileUse,
}

/// The tokens, ascending, whose logits are wanted in one row; `None` for all of them.
pub type Wanted = Option<Vec<Token>>;

/// What a forward pass returns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Logits {
    /// The whole rows, `[_, n_vocab]`, in order of spans, then of offsets within the span.
    pub rows: Vec<f32>,
    /// Width of a whole row.
    pub n_vocab: usize,
    /// The rows of which only some tokens were wanted, one after the other.
    few: Vec<f32>,
    /// The width of every row that is not whole.
    widths: Vec<Option<usize>>,
}

impl Logits {
    /// Rows, whole or not.
    pub fn n_rows(&self) -> usize {
        self.widths.len()
    }

    /// Every row in order, to be changed while sampling: the logits of all tokens, or of the wanted ones.
    pub fn rows_mut(&mut self) -> Vec<&mut [f32]> {
        let (mut rows, mut few) = (self.rows.as_mut_slice(), self.few.as_mut_slice());
        let take = |width: &Option<usize>| match *width {
            None => rows.split_off_mut(..self.n_vocab),
            Some(width) => few.split_off_mut(..width),
        };
        self.widths.iter().map(take).map(|row| row.expect("the widths add up to what is there")).collect()
    }
}

/// A model that is ready to run.
pub struct Model {
    config: Config,
    embedding: Embedding,
    ropes: Vec<Rotary>,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
    threads: Arc<Threads>,
    fingerprint: [u8; 32],
    kept: Kept,
}

struct Layer {
    attention_norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    query_norm: Option<RmsNorm>,
    key_norm: Option<RmsNorm>,
    /// Index in [`Model::ropes`].
    rope: Option<usize>,
    attention: Attention,
    output: Linear,
    output_norm: Option<RmsNorm>,
    mlp_norm: RmsNorm,
    mlp: Mlp,
    mlp_post_norm: Option<RmsNorm>,
}

impl Model {
    /// Packs the weights of an open model file, or maps them if that was done before.
    ///
    /// # Errors
    /// An unknown architecture, a key with a value that is not implemented, a tensor that is missing, unknown or of
    /// another shape than the metadata says; each is named.
    pub fn load(gguf: &Arc<Gguf>, options: LoadOptions) -> Result<Self, Error> {
        let family = Family::find(gguf.metadata().architecture()?)?;
        let threads = options.threads.unwrap_or_else(|| Arc::new(Threads::from_env()));
        let file_fingerprint = gguf.fingerprint();
        let matrices = Matrices::open(&options.packed_places, file_fingerprint);
        let weights = Weights::new(gguf, &threads, options.precision, matrices);
        let config = Config::parse(gguf.metadata(), family, &weights, options.n_ctx)?;
        let (dim, n_vocab) = (config.dim, config.n_vocab);
        let has_own_head = weights.has("output.weight");
        let head = weights.linear(if has_own_head { "output" } else { "token_embd" }, dim, n_vocab, false)?;
        let embedding = if has_own_head {
            weights.embedding("token_embd.weight", n_vocab, dim, config.embedding_scale)?
        } else {
            Embedding::of_head(&head, config.embedding_scale)
        };
        let mut ropes = Vec::new();
        let mut model = Self {
            embedding,
            layers: Vec::with_capacity(config.n_layers),
            norm: weights.norm("output_norm.weight", dim, config.norm_eps)?,
            head,
            ropes: Vec::new(),
            threads: Arc::clone(&threads),
            fingerprint: [0; 32],
            kept: Kept::default(),
            config,
        };
        for layer_idx in 0..model.config.n_layers {
            let rope = model.config.layers[layer_idx].rope.as_ref().map(|rope| Rotary {
                freqs: rope.freqs.clone(),
                magnitude: rope.magnitude,
                style: family.rope_style,
            });
            let rope = rope.map(|rope| position_or_push(&mut ropes, rope));
            model.layers.push(Layer::load(&weights, family, &model.config, layer_idx, rope)?);
        }
        model.ropes = ropes;
        model.kept = weights.finish(family.architecture)?;
        gguf.release_all();
        let tiles_from = model.choose_tiles_from(options.tiles, options.precision);
        model.linears_mut().for_each(|linear| linear.set_tiles_from(tiles_from));
        model.fingerprint = fingerprint::of(&file_fingerprint, &model.config, options.precision, tiles_from.is_some());
        Ok(model)
    }

    /// From how many rows on matrices take tiles, if they ever do.
    fn choose_tiles_from(&self, tiles: TileUse, precision: Precision) -> Option<usize> {
        match (precision, tiles) {
            (Precision::Bits16, _) | (_, TileUse::Never) => None,
            (Precision::Bits8, TileUse::From(n_rows)) => Some(n_rows),
            (Precision::Bits8, TileUse::WhereFaster) => {
                let gates: Vec<&Linear> = self.layers.iter().map(|layer| &layer.mlp.gate).collect();
                Linear::measure_tiles_from(&gates)
            }
        }
    }

    fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        let layers = self.layers.iter_mut().flat_map(|layer| {
            let Layer { query, key, value, output, mlp: Mlp { gate, up, down, .. }, .. } = layer;
            [query, key, value, output, gate, up, down]
        });
        layers.chain([&mut self.head])
    }

    /// Sizes and choices of this model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The compute threads, for work between passes.
    pub fn threads(&self) -> &Arc<Threads> {
        &self.threads
    }

    /// Stands for everything that keys and values depend on besides the tokens (and, with tiles, the batch): equal for
    /// two models, in this process or another, if and only if either may go on from what the other computed.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// What became of the file of its packed weights.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// What a [`KvPool`] for this model must hold.
    pub fn kv_shape(&self) -> KvShape {
        let Config { n_layers, n_kv_heads, head_dim, .. } = self.config;
        KvShape { n_layers, n_kv_heads, head_dim }
    }

    /// Runs the new tokens of every span, writes their keys and values into the span's blocks and returns the logits
    /// of the wanted rows.
    ///
    /// After an error the pool's content at the batch's positions is undefined; everything before them is untouched.
    ///
    /// # Errors
    /// A batch that does not add up, a token outside the vocabulary, a position past the context, too few blocks, a
    /// pool of another shape.
    pub fn forward(&self, batch: &Batch, pool: &mut KvPool) -> Result<Logits, Error> {
        self.forward_wanted(batch, pool, |n_rows| vec![None; n_rows])
    }

    /// As [`Model::forward`]; `wanted`, asked just before the output head and given the number of rows, says which
    /// tokens' logits are wanted in each. Those are the same, bit for bit, as if all were; with tiles they are those of
    /// a pass of few rows, whatever the number of rows.
    ///
    /// # Errors
    /// As [`Model::forward`].
    ///
    /// # Panics
    /// If `wanted` does not give one entry per row, or names a token outside the vocabulary.
    pub fn forward_wanted(
        &self,
        batch: &Batch,
        pool: &mut KvPool,
        wanted: impl FnOnce(usize) -> Vec<Wanted>,
    ) -> Result<Logits, Error> {
        let plan = Plan::new(batch, &self.config, pool)?;
        let angles: Vec<Angles> = self.ropes.iter().map(|rope| rope.angles(&plan.positions)).collect();
        let mut x = self.embedding.forward(&batch.tokens)?;
        for (layer_idx, layer) in self.layers.iter().enumerate() {
            let angles = layer.rope.map(|rope| &angles[rope]);
            let is_last = layer_idx + 1 == self.layers.len();
            let mut attended = layer.attend(&x, angles, &plan, pool)?;
            if is_last {
                x = layer::gather(&x, &plan.logit_rows)?;
                attended = layer::gather(&attended, &plan.logit_rows)?;
            }
            if plan.logit_rows.is_empty() && is_last {
                return Ok(Logits { n_vocab: self.config.n_vocab, ..Logits::default() });
            }
            layer.finish(&x, &attended)?;
        }
        let wanted = wanted(plan.logit_rows.len());
        assert_eq!(wanted.len(), plan.logit_rows.len(), "entries of wanted tokens, and rows of logits");
        self.logits(&x, &wanted)
    }

    /// `x`: `[n_rows, dim]`, the residual stream of the rows that `wanted` speaks of.
    fn logits(&self, x: &Tensor, wanted: &[Wanted]) -> Result<Logits, Error> {
        let normed = self.norm.forward(x)?;
        let whole: Vec<usize> = (0..wanted.len()).filter(|&row| wanted[row].is_none()).collect();
        let mut rows = if whole.is_empty() { Vec::new() } else { self.head.select(&normed, &whole, None)? };
        let mut few = self.few(&normed, wanted)?;
        if let Some(cap) = self.config.logit_cap {
            rows.iter_mut().chain(&mut few).for_each(|logit| *logit = (*logit / cap).tanh() * cap);
        }
        let widths = wanted.iter().map(|wanted| wanted.as_ref().map(Vec::len)).collect();
        Ok(Logits { rows, n_vocab: self.config.n_vocab, few, widths })
    }

    /// The rows of which only some tokens are wanted. Rows that want the same ones share a product: those of sequences
    /// that stand at the same place of one grammar.
    fn few(&self, normed: &Tensor, wanted: &[Wanted]) -> Result<Vec<f32>, Error> {
        let mut n_few = 0;
        let ends: Vec<usize> = wanted
            .iter()
            .map(|wanted| {
                n_few += wanted.as_ref().map_or(0, Vec::len);
                n_few
            })
            .collect();
        let mut few = vec![0.0; n_few];
        let is_few = |&row: &usize| wanted[row].as_ref().is_some_and(|tokens| !tokens.is_empty());
        let mut left: Vec<usize> = (0..wanted.len()).filter(is_few).collect();
        while let Some(tokens) = left.first().and_then(|&row| wanted[row].as_deref()) {
            let (same, others) = left.iter().partition::<Vec<usize>, _>(|&&row| wanted[row].as_deref() == Some(tokens));
            let computed = self.head.select(normed, &same, Some(tokens))?;
            for (row, computed) in same.into_iter().zip(computed.chunks_exact(tokens.len())) {
                few[ends[row] - tokens.len()..ends[row]].copy_from_slice(computed);
            }
            left = others;
        }
        Ok(few)
    }
}

impl Layer {
    fn load(
        weights: &Weights<'_>,
        family: &Family,
        config: &Config,
        layer_idx: usize,
        rope: Option<usize>,
    ) -> Result<Self, Error> {
        let name = |part: &str| format!("blk.{layer_idx}.{part}");
        let norm = |part: &str, n| weights.norm(&name(&format!("{part}.weight")), n, config.norm_eps);
        let norm_if = |present: bool, part, n| present.then(|| norm(part, n)).transpose();
        let Config { dim, head_dim, n_heads, n_kv_heads, ffn_dim, .. } = *config;
        let (q_dim, kv_dim) = (n_heads * head_dim, n_kv_heads * head_dim);
        let linear = |part, n_in, n_out, bias| weights.linear(&name(part), n_in, n_out, bias);
        let [query, key, value] = if family.fused {
            weights.split(&name("attn_qkv"), dim, [q_dim, kv_dim, kv_dim])?
        } else {
            let bias = family.qkv_bias;
            [
                linear("attn_q", dim, q_dim, bias)?,
                linear("attn_k", dim, kv_dim, bias)?,
                linear("attn_v", dim, kv_dim, bias)?,
            ]
        };
        let [gate, up] = if family.fused {
            weights.split(&name("ffn_up"), dim, [ffn_dim, ffn_dim])?
        } else {
            [linear("ffn_gate", dim, ffn_dim, false)?, linear("ffn_up", dim, ffn_dim, false)?]
        };
        Ok(Self {
            attention_norm: norm("attn_norm", dim)?,
            query,
            key,
            value,
            query_norm: norm_if(family.qk_norm, "attn_q_norm", head_dim)?,
            key_norm: norm_if(family.qk_norm, "attn_k_norm", head_dim)?,
            rope,
            attention: Attention {
                layer: layer_idx,
                n_heads,
                scale: config.attention_scale,
                window: config.layers[layer_idx].window,
                threads: Arc::clone(weights.threads()),
            },
            output: linear("attn_output", q_dim, dim, false)?,
            output_norm: norm_if(family.post_norm, "post_attention_norm", dim)?,
            mlp_norm: norm("ffn_norm", dim)?,
            mlp: Mlp {
                gate,
                up,
                down: linear("ffn_down", ffn_dim, dim, false)?,
                activation: family.activation,
                threads: Arc::clone(weights.threads()),
            },
            mlp_post_norm: norm_if(family.post_norm, "post_ffw_norm", dim)?,
        })
    }

    /// Writes the keys and values of all rows and returns what their queries gather: `[n_tokens, n_heads * head_dim]`.
    fn attend(&self, x: &Tensor, angles: Option<&Angles>, plan: &Plan<'_>, pool: &mut KvPool) -> Result<Tensor, Error> {
        let normed = self.attention_norm.forward(x)?;
        let [query, key, value] = Linear::forward_each([&self.query, &self.key, &self.value], &normed)?;
        let query = apply(self.query_norm.as_ref(), query)?;
        let key = apply(self.key_norm.as_ref(), key)?;
        if let Some(angles) = angles {
            let head_dim = pool.shape().head_dim;
            angles.rotate(&query, head_dim, &self.mlp.threads)?;
            angles.rotate(&key, head_dim, &self.mlp.threads)?;
        }
        Ok(self.attention.forward([&query, &key, &value], &plan.stacks, pool)?)
    }

    /// Adds the results of attention and MLP to the residual stream `x`, in place.
    fn finish(&self, x: &Tensor, attended: &Tensor) -> Result<(), Error> {
        let threads = &self.mlp.threads;
        layer::add(x, &apply(self.output_norm.as_ref(), self.output.forward(attended)?)?, threads)?;
        let expanded = self.mlp.forward(&self.mlp_norm.forward(x)?)?;
        layer::add(x, &apply(self.mlp_post_norm.as_ref(), expanded)?, threads)?;
        Ok(())
    }
}

fn apply(norm: Option<&RmsNorm>, x: Tensor) -> Result<Tensor, Error> {
    Ok(match norm {
        Some(norm) => norm.forward(&x)?,
        None => x,
    })
}

fn position_or_push(ropes: &mut Vec<Rotary>, rope: Rotary) -> usize {
    ropes.iter().position(|known| *known == rope).unwrap_or_else(|| {
        ropes.push(rope);
        ropes.len() - 1
    })
}
