//! Plain data that every layer shares: ids, tokens, messages, sampling options, batches, usage.
//!
//! Invariant: nothing here touches a disk, a clock, a tensor or a thread, and nothing here imports
//! another module of this crate. A type belongs here only if two rows of the module table need it.

use serde::{Deserialize, Serialize};

/// Index of an entry of a model's vocabulary.
pub type Token = u32;

/// One goal from its statement to its answer. Sortable by start time, unique per store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub String);

/// Position of a step in its plan, 1-based, as the plan's references (`$2`) count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepId(pub u32);

/// A sequence inside one engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SequenceId(pub u64);

/// One unit of KV memory: [`BLOCK_TOKENS`] positions of every layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u32);

/// Positions held by one KV block.
pub const BLOCK_TOKENS: usize = 32;

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Display for StepId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${}", self.0)
    }
}

/// Who speaks in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Standing instructions.
    System,
    /// The person, or the orchestrator in the person's place.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// One turn of a conversation, in the shape that chat templates expect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; empty for an assistant turn that only calls tools.
    pub content: String,
    /// Calls made by an assistant turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
}

impl Message {
    /// A turn without tool calls.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), tool_calls: Vec::new() }
    }
}

/// A named call with its arguments as a JSON object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Name in the tool registry.
    pub name: String,
    /// A JSON object that fits the tool's schema.
    pub arguments: serde_json::Value,
}

/// How the next token is drawn from the logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// 0 takes the most likely token; above 0 divides the logits.
    pub temperature: f32,
    /// Keep the `k` most likely tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set of tokens whose probability reaches `p`; 1 keeps all.
    pub top_p: f32,
    /// Drop tokens less likely than `min_p` times the most likely one; 0 keeps all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens seen lately; 1 does nothing.
    pub repetition_penalty: f32,
    /// Seed of this sequence's random numbers.
    pub seed: u64,
    /// How many alternatives to report with every token; 0 reports none.
    pub n_logprobs: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0, n_logprobs: 0 }
    }
}

/// What the generated text must conform to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grammar {
    /// A JSON Schema; the text is one JSON value on one line.
    JsonSchema(serde_json::Value),
    /// A grammar in llguidance's dialect of Lark, with a rule named `start`.
    Lark(String),
    /// A regular expression that the whole text matches.
    Regex(String),
}

/// Why a sequence ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model emitted an end token, or the grammar is complete and allows nothing more.
    Stop,
    /// A stop string appeared; it is not part of the text.
    StopString,
    /// `max_tokens` was reached.
    Length,
    /// The model's context is full.
    Context,
    /// The receiver went away or asked to stop.
    Cancelled,
}

/// What one request cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens, cached ones included.
    pub prompt_tokens: usize,
    /// Prompt tokens whose KV was already there.
    pub cached_tokens: usize,
    /// Tokens generated.
    pub decoded_tokens: usize,
    /// From submission to the first generated token, in milliseconds.
    pub prefill_ms: f64,
    /// From the first to the last generated token, in milliseconds.
    pub decode_ms: f64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.cached_tokens += other.cached_tokens;
        self.decoded_tokens += other.decoded_tokens;
        self.prefill_ms += other.prefill_ms;
        self.decode_ms += other.decode_ms;
    }
}

/// One forward pass over any number of sequences.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// The new tokens of every span, one after the other.
    pub tokens: Vec<Token>,
    /// One entry per sequence; their `n_tokens` add up to `tokens.len()`.
    pub spans: Vec<Span>,
}

/// The share of one sequence in a [`Batch`].
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Position of the span's first new token, counted from the start of its sequence, 0-based.
    pub start: usize,
    /// New tokens of this sequence in this pass; at least 1.
    pub n_tokens: usize,
    /// Blocks that hold positions `0..start + n_tokens`, in order; the new tokens' KV is written into them.
    pub blocks: Vec<BlockId>,
    /// Offsets within the span (`0..n_tokens`) whose logits are wanted, ascending.
    pub logit_rows: Vec<usize>,
}

/// How finely activations are rounded before they meet quantized weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// 8 bits per group of 32: the usual way on CPUs. Its error on the next token's distribution is that of other
    /// engines that do the same, but not the same error.
    #[default]
    Bits8,
    /// 16 bits, as two terms of 8: equal to arithmetic in `f32` for every purpose, at twice the work per product.
    Bits16,
}

/// Whether products of many rows of activations with quantized weights may take tiles of bfloat16, which round other
/// than [`Precision`] says: what a row gives then depends a little on how many rows are computed with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TileUse {
    /// They may not: a row's result depends on that row alone.
    #[default]
    Never,
    /// From as many rows on as a measurement of the model's own matrices finds to be faster; never where the CPU has no
    /// tiles.
    WhereFaster,
    /// From this many rows on, in software where the CPU has no tiles: for tests and measurements.
    From(usize),
}

/// Encoding of a tensor's data in a GGUF file. Numbers and block sizes are those of the GGUF specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, non_camel_case_types)]
pub enum Dtype {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    IQ4_NL,
    IQ4_XS,
}

/// `(encoding, number in GGUF, elements per block, bytes per block, name)`.
const DTYPES: [(Dtype, u32, usize, usize, &str); 15] = [
    (Dtype::F32, 0, 1, 4, "F32"),
    (Dtype::F16, 1, 1, 2, "F16"),
    (Dtype::BF16, 30, 1, 2, "BF16"),
    (Dtype::Q4_0, 2, 32, 18, "Q4_0"),
    (Dtype::Q4_1, 3, 32, 20, "Q4_1"),
    (Dtype::Q5_0, 6, 32, 22, "Q5_0"),
    (Dtype::Q5_1, 7, 32, 24, "Q5_1"),
    (Dtype::Q8_0, 8, 32, 34, "Q8_0"),
    (Dtype::Q2_K, 10, 256, 84, "Q2_K"),
    (Dtype::Q3_K, 11, 256, 110, "Q3_K"),
    (Dtype::Q4_K, 12, 256, 144, "Q4_K"),
    (Dtype::Q5_K, 13, 256, 176, "Q5_K"),
    (Dtype::Q6_K, 14, 256, 210, "Q6_K"),
    (Dtype::IQ4_NL, 20, 32, 18, "IQ4_NL"),
    (Dtype::IQ4_XS, 23, 256, 136, "IQ4_XS"),
];

impl Dtype {
    fn row(self) -> &'static (Self, u32, usize, usize, &'static str) {
        &DTYPES[DTYPES.iter().position(|row| row.0 == self).expect("every encoding has a row")]
    }

    /// The encoding with this number, or `None` if Partita does not read it.
    pub fn from_gguf(number: u32) -> Option<Self> {
        DTYPES.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// Number in the GGUF specification.
    pub fn gguf_number(self) -> u32 {
        self.row().1
    }

    /// Elements that are encoded together.
    pub fn block_elements(self) -> usize {
        self.row().2
    }

    /// Bytes of one block.
    pub fn block_bytes(self) -> usize {
        self.row().3
    }

    /// The name that quantization tools print.
    pub fn name(self) -> &'static str {
        self.row().4
    }
}
