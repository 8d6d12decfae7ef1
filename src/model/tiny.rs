//! Writes small model files with seeded weights, for tests and benches of every module.
//!
//! The weights are drawn directly in their encoding, so the same file means the same numbers to every program that
//! reads it. Scales are chosen so that next-token distributions are neither flat nor one-hot. The vocabulary is the
//! 256 bytes, a few merges and the ChatML control tokens; what such a model says is noise.
//! Invariant: a spec determines the file, byte for byte.
//! Must not know: how models are loaded or run.

use std::io;
use std::path::Path;

use half::f16;

use crate::gguf::write::{Value, Writer};
use crate::types::{Dtype, Token};

/// Which model to write.
#[derive(Debug, Clone)]
pub struct TinySpec {
    /// `general.architecture`; decides which tensors there are.
    pub architecture: &'static str,
    /// Determines the weights.
    pub seed: u64,
    /// Encoding of the matrices; norms and biases are `F32`.
    pub dtype: Dtype,
    /// Decoder layers.
    pub n_layers: usize,
    /// Context that the file claims.
    pub n_ctx: usize,
    /// Whether the head is a tensor of its own.
    pub own_head: bool,
    /// One-dimensional tensors to add, such as `rope_freqs.weight`.
    pub vectors: Vec<(&'static str, Vec<f32>)>,
    /// Keys to add, the architecture's prefix left out.
    pub keys: Vec<(&'static str, Value)>,
}

impl Default for TinySpec {
    fn default() -> Self {
        Self {
            architecture: "llama",
            seed: 1,
            dtype: Dtype::Q8_0,
            n_layers: 2,
            n_ctx: 512,
            own_head: false,
            vectors: Vec::new(),
            keys: Vec::new(),
        }
    }
}

/// Width of the residual stream.
pub const DIM: usize = 256;
/// Query heads.
pub const N_HEADS: usize = 4;
/// Key and value heads.
pub const N_KV_HEADS: usize = 2;
/// Width of a head.
pub const HEAD_DIM: usize = 64;
/// Width of the MLP.
pub const FFN_DIM: usize = 512;

/// Merges of the vocabulary, in order of rank; `Ġ` is the space.
const MERGES: [(&str, &str); 12] = [
    ("Ġ", "t"),
    ("h", "e"),
    ("Ġt", "he"),
    ("i", "n"),
    ("Ġ", "a"),
    ("e", "r"),
    ("o", "n"),
    ("r", "e"),
    ("a", "t"),
    ("in", "g"),
    ("Ġ", "Ġ"),
    ("l", "l"),
];

/// Control tokens, at the end of the vocabulary: end of text, start of turn, end of turn.
const CONTROL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/// Tokens of the vocabulary.
pub const N_VOCAB: usize = 256 + MERGES.len() + CONTROL.len();

const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content \
     + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// Writes the model's file.
///
/// # Errors
/// Those of the file system.
pub fn write(path: &Path, spec: &TinySpec) -> io::Result<()> {
    std::fs::write(path, to_bytes(spec))
}

/// The model's file as bytes.
pub fn to_bytes(spec: &TinySpec) -> Vec<u8> {
    let mut writer = Writer::new();
    put_metadata(&mut writer, spec);
    put_vocabulary(&mut writer);
    put_tensors(&mut writer, spec);
    writer.to_bytes()
}

/// One model of every family and of every variant that the forward pass treats in its own way, by name.
pub fn families(dtype: Dtype) -> Vec<(&'static str, TinySpec)> {
    let spec = |architecture| TinySpec { architecture, dtype, ..TinySpec::default() };
    let with = |architecture, keys| TinySpec { keys, ..spec(architecture) };
    let n_pairs = HEAD_DIM / 2;
    let ramp = |top: f32| (0..n_pairs).map(|i| 1.0 + top * i as f32 / n_pairs as f32).collect::<Vec<f32>>();
    let long_context = |factor: f32| {
        vec![
            ("rope.scaling.type", Value::from("yarn")),
            ("rope.scaling.factor", Value::F32(factor)),
            ("rope.scaling.original_context_length", Value::U32(256)),
        ]
    };
    let phi3 = TinySpec {
        vectors: vec![
            ("rope_factors_long.weight", ramp(20.0)[..n_pairs * 3 / 4].to_vec()),
            ("rope_factors_short.weight", ramp(1.0)[..n_pairs * 3 / 4].to_vec()),
        ],
        ..with(
            "phi3",
            vec![
                ("rope.dimension_count", Value::U32(HEAD_DIM as u32 * 3 / 4)),
                ("rope.scaling.original_context_length", Value::U32(256)),
                ("rope.scaling.attn_factor", Value::F32(1.19)),
                ("attention.sliding_window", Value::U32(262_144)),
            ],
        )
    };
    let gemma3 = vec![("attention.sliding_window", Value::U32(64)), ("rope.freq_base", Value::F32(1e6))];
    vec![
        ("llama", TinySpec { own_head: true, ..spec("llama") }),
        ("llama3", TinySpec { vectors: vec![("rope_freqs.weight", ramp(7.0))], ..spec("llama") }),
        ("llama-linear", with("llama", vec![("rope.scaling.factor", Value::F32(4.0))])),
        ("qwen2", spec("qwen2")),
        ("qwen2-yarn", with("qwen2", long_context(4.0))),
        ("qwen3", with("qwen3", vec![("rope.freq_base", Value::F32(1e6))])),
        ("gemma3", TinySpec { n_layers: 7, keys: gemma3, ..spec("gemma3") }),
        ("phi3", phi3),
        ("smollm3", TinySpec { n_layers: 4, ..spec("smollm3") }),
    ]
}

/// One model of every encoding, by the encoding's name.
pub fn encodings() -> Vec<(&'static str, TinySpec)> {
    use Dtype::*;
    [F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS]
        .map(|dtype| (dtype.name(), TinySpec { dtype, ..TinySpec::default() }))
        .to_vec()
}

/// The bytes of a text as tokens of the vocabulary, at most `n`.
pub fn bytes_as_tokens(text: &str, n: usize) -> Vec<Token> {
    text.bytes().take(n).map(Token::from).collect()
}

fn put_metadata(writer: &mut Writer, spec: &TinySpec) {
    writer.set("general.architecture", spec.architecture);
    writer.set("general.name", format!("tiny model of seed {}", spec.seed));
    let mut set = |key: &str, value: Value| {
        writer.set(&format!("{}.{key}", spec.architecture), value);
    };
    for (key, value) in [
        ("block_count", spec.n_layers),
        ("context_length", spec.n_ctx),
        ("embedding_length", DIM),
        ("feed_forward_length", FFN_DIM),
        ("attention.head_count", N_HEADS),
        ("attention.head_count_kv", N_KV_HEADS),
        ("attention.key_length", HEAD_DIM),
        ("attention.value_length", HEAD_DIM),
    ] {
        set(key, Value::U32(value as u32));
    }
    set("attention.layer_norm_rms_epsilon", Value::F32(1e-5));
    let absent = |key| spec.keys.iter().all(|(given, _)| *given != key);
    for (key, value) in
        [("rope.dimension_count", Value::U32(HEAD_DIM as u32)), ("rope.freq_base", Value::F32(10_000.0))]
    {
        if absent(key) {
            set(key, value);
        }
    }
    spec.keys.iter().for_each(|(key, value)| set(key, value.clone()));
}

fn put_vocabulary(writer: &mut Writer) {
    let bytes = (0..=255).map(|byte| byte_char(byte).to_string());
    let merged = MERGES.iter().map(|(left, right)| format!("{left}{right}"));
    let tokens: Vec<String> = bytes.chain(merged).chain(CONTROL.map(str::to_owned)).collect();
    let n_normal = tokens.len() - CONTROL.len();
    let kinds: Vec<i32> = (0..tokens.len()).map(|token| if token < n_normal { 1 } else { 3 }).collect();
    let merges: Vec<String> = MERGES.iter().map(|(left, right)| format!("{left} {right}")).collect();
    writer.set("tokenizer.ggml.model", "gpt2").set("tokenizer.ggml.pre", "qwen2");
    writer.set("tokenizer.ggml.tokens", tokens).set("tokenizer.ggml.token_type", kinds);
    writer.set("tokenizer.ggml.merges", merges);
    writer.set("tokenizer.ggml.bos_token_id", n_normal as u32);
    writer.set("tokenizer.ggml.eos_token_id", n_normal as u32 + 2);
    writer.set("tokenizer.ggml.padding_token_id", n_normal as u32);
    writer.set("tokenizer.ggml.add_bos_token", false);
    writer.set("tokenizer.chat_template", CHAT_TEMPLATE);
}

/// The character that stands for a byte in byte-level BPE vocabularies: itself if it prints, else one past U+0100.
fn byte_char(byte: u8) -> char {
    let prints = |b: &u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    if prints(&byte) {
        return char::from(byte);
    }
    let n_before = (0..byte).filter(|b| !prints(b)).count() as u32;
    char::from_u32(256 + n_before).expect("below U+0200")
}

fn put_tensors(writer: &mut Writer, spec: &TinySpec) {
    let mut random = Random(spec.seed);
    let mut out = Tensors { writer, random: &mut random, dtype: spec.dtype };
    out.matrix("token_embd", N_VOCAB, DIM, 0.2);
    for (name, values) in &spec.vectors {
        out.writer.tensor_f32(name, &[values.len()], values);
    }
    for layer in 0..spec.n_layers {
        out.layer(spec.architecture, &|part| format!("blk.{layer}.{part}"));
    }
    out.norm("output_norm", DIM);
    if spec.own_head {
        out.matrix("output", N_VOCAB, DIM, 0.2);
    }
}

struct Tensors<'a> {
    writer: &'a mut Writer,
    random: &'a mut Random,
    dtype: Dtype,
}

impl Tensors<'_> {
    fn layer(&mut self, architecture: &str, name: &dyn Fn(&str) -> String) {
        let (q_dim, kv_dim) = (N_HEADS * HEAD_DIM, N_KV_HEADS * HEAD_DIM);
        let fused = architecture == "phi3";
        self.norm(&name("attn_norm"), DIM);
        if fused {
            self.projection(&name("attn_qkv"), q_dim + 2 * kv_dim, DIM);
        } else {
            for (part, n_out) in [("attn_q", q_dim), ("attn_k", kv_dim), ("attn_v", kv_dim)] {
                self.projection(&name(part), n_out, DIM);
                if architecture == "qwen2" {
                    let bias = (0..n_out).map(|_| self.random.centred() * 0.5).collect::<Vec<_>>();
                    self.writer.tensor_f32(&name(&format!("{part}.bias")), &[n_out], &bias);
                }
            }
        }
        if matches!(architecture, "qwen3" | "gemma3") {
            self.norm(&name("attn_q_norm"), HEAD_DIM);
            self.norm(&name("attn_k_norm"), HEAD_DIM);
        }
        self.projection(&name("attn_output"), DIM, q_dim);
        self.norm(&name("ffn_norm"), DIM);
        if architecture == "gemma3" {
            // Large enough to matter beside the scaled embedding.
            self.scaled_norm(&name("post_attention_norm"), DIM, 3.0);
            self.scaled_norm(&name("post_ffw_norm"), DIM, 3.0);
        }
        if fused {
            self.projection(&name("ffn_up"), 2 * FFN_DIM, DIM);
        } else {
            self.projection(&name("ffn_gate"), FFN_DIM, DIM);
            self.projection(&name("ffn_up"), FFN_DIM, DIM);
        }
        self.projection(&name("ffn_down"), DIM, FFN_DIM);
    }

    /// Weights under which outputs are somewhat larger than inputs, so that every layer matters.
    fn projection(&mut self, name: &str, n_out: usize, n_in: usize) {
        self.matrix(name, n_out, n_in, 1.5 / (n_in as f32).sqrt());
    }

    /// Weights of about this standard deviation.
    fn matrix(&mut self, name: &str, n_out: usize, n_in: usize, deviation: f32) {
        let n_blocks = n_out * n_in / self.dtype.block_elements();
        let data: Vec<u8> = (0..n_blocks).flat_map(|_| block(self.random, self.dtype, deviation)).collect();
        self.writer.tensor(&format!("{name}.weight"), &[n_out, n_in], self.dtype, data);
    }

    fn norm(&mut self, name: &str, n: usize) {
        self.scaled_norm(name, n, 1.0);
    }

    fn scaled_norm(&mut self, name: &str, n: usize, scale: f32) {
        let weights: Vec<f32> = (0..n).map(|_| scale * (1.0 + 0.5 * self.random.centred())).collect();
        self.writer.tensor_f32(&format!("{name}.weight"), &[n], &weights);
    }
}

/// One block of uniform weights: any quants are valid, so only the scales are chosen.
fn block(random: &mut Random, dtype: Dtype, deviation: f32) -> Vec<u8> {
    let half = |x: f32| f16::from_f32(x).to_le_bytes().to_vec();
    // A uniform distribution over `n` steps has a standard deviation of about `0.29 n` steps; drawn scales vary.
    let step = |n_steps: f32| deviation / (0.29 * n_steps);
    let scale = |random: &mut Random, n: f32| half(step(n) * (1.0 + random.centred()));
    let mut bytes = match dtype {
        Dtype::F32 => return (random.centred() * 3.46 * deviation).to_le_bytes().to_vec(),
        Dtype::F16 => return half(random.centred() * 3.46 * deviation),
        Dtype::BF16 => return half::bf16::from_f32(random.centred() * 3.46 * deviation).to_le_bytes().to_vec(),
        Dtype::Q4_0 => scale(random, 16.0),
        Dtype::Q5_0 => scale(random, 32.0),
        Dtype::Q8_0 => scale(random, 256.0),
        Dtype::Q4_1 => [half(step(16.0)), half(-7.5 * step(16.0))].concat(),
        Dtype::Q5_1 => [half(step(32.0)), half(-15.5 * step(32.0))].concat(),
        // Six-bit scales and minima of mean 31.5.
        Dtype::Q4_K => [half(step(16.0) / 45.0), half(7.5 * step(16.0) / 45.0)].concat(),
        Dtype::Q5_K => [half(step(32.0) / 45.0), half(15.5 * step(32.0) / 45.0)].concat(),
        // A codebook whose values have a root mean square of 67, as 232 steps would; signed six-bit scales.
        Dtype::IQ4_NL => scale(random, 232.0),
        Dtype::IQ4_XS => half(step(232.0) / 18.5).to_vec(),
        // The scales follow the quants in these three.
        Dtype::Q2_K | Dtype::Q3_K | Dtype::Q6_K => Vec::new(),
    };
    let trailing = match dtype {
        // Four-bit scales and minima of mean 7.5, so that quants of mean 1.5 cancel out.
        Dtype::Q2_K => [half(step(4.0) / 10.0), half(1.5 * step(4.0) / 10.0)].concat(),
        // Signed six- and eight-bit scales.
        Dtype::Q3_K => half(step(8.0) / 18.0),
        Dtype::Q6_K => half(step(64.0) / 74.0),
        _ => Vec::new(),
    };
    let n_random = dtype.block_bytes() - bytes.len() - trailing.len();
    bytes.extend((0..n_random).map(|_| random.next() as u8));
    bytes.extend(trailing);
    bytes
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Uniform in `-0.5..0.5`.
    fn centred(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    }
}
