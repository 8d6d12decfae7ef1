//! Round trips, and one row per way in which a file can lie.

use super::write::Writer;
use super::*;

fn small() -> Writer {
    let mut writer = Writer::new();
    writer
        .set("general.architecture", "llama")
        .set("llama.block_count", 2u32)
        .set("llama.rope.freq_base", 10000.0f32)
        .set("tokenizer.ggml.add_bos_token", true)
        .set("tokenizer.ggml.tokens", vec!["a", "", "é"])
        .set("tokenizer.ggml.scores", vec![0.5f32, -1.0])
        .set("tokenizer.ggml.token_type", vec![1i32, 3])
        .set("big", u64::MAX)
        .tensor_f32("a.weight", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        .tensor("b.weight", &[1, 32], Dtype::Q8_0, vec![7; 34]);
    writer
}

#[test]
fn what_is_written_is_read() {
    let gguf = Gguf::from_bytes("small.gguf", small().to_bytes()).unwrap();
    let metadata = gguf.metadata();
    assert_eq!(metadata.architecture().unwrap(), "llama");
    assert_eq!(metadata.get_u32("llama.block_count").unwrap(), 2);
    assert_eq!(metadata.get_u64("llama.block_count").unwrap(), 2);
    assert_eq!(metadata.get_f32("llama.rope.freq_base").unwrap(), 10000.0);
    assert!(metadata.get_bool("tokenizer.ggml.add_bos_token").unwrap());
    assert_eq!(metadata.get_strs("tokenizer.ggml.tokens").unwrap(), ["a", "", "é"]);
    assert_eq!(metadata.get_f32s("tokenizer.ggml.scores").unwrap(), [0.5, -1.0]);
    assert_eq!(metadata.get_i32s("tokenizer.ggml.token_type").unwrap(), [1, 3]);
    assert_eq!(metadata.find_u32("none").unwrap(), None);
    let a = gguf.tensor("a.weight").unwrap();
    assert_eq!((a.info.shape.as_slice(), a.info.dtype, a.data.len()), ([2, 3].as_slice(), Dtype::F32, 24));
    assert_eq!(a.data[20..], 6f32.to_le_bytes());
    assert_eq!(gguf.tensor("b.weight").unwrap().data, [7; 34]);
    assert_eq!(gguf.tensors().len(), 2);
}
