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

/// Opens bytes that must be refused and compares the message after `opening m.gguf: `.
fn check(bytes: &[u8], want: &str) {
    let error = Gguf::from_bytes("m.gguf", bytes.to_vec()).expect_err(want).to_string();
    assert_eq!(error, format!("opening m.gguf: {want}"));
}

/// The first `from` in the file of [`small`] becomes `to`.
fn patched(from: &[u8], to: &[u8]) -> Vec<u8> {
    let bytes = small().to_bytes();
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the pattern is in the file");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// The row of tensor `a.weight` in the table, with a field replaced.
fn table_row(n_dims: u32, dims: &[u64], dtype: u32, offset: u64) -> Vec<u8> {
    let mut row = b"a.weight".to_vec();
    row.extend(n_dims.to_le_bytes());
    dims.iter().for_each(|dim| row.extend(dim.to_le_bytes()));
    row.extend(dtype.to_le_bytes());
    row.extend(offset.to_le_bytes());
    row
}

#[test]
fn a_bad_preamble_is_named() {
    let bytes = small().to_bytes();
    check(b"", r#"not a gguf file: it starts with "", expected "GGUF""#);
    check(b"<!DOCTYPE html>", r#"not a gguf file: it starts with "<!DO", expected "GGUF""#);
    check(b"GGUF\x03\0", "the version ends at byte 8, but the file has 6");
    check(&bytes[..12], "the tensor count ends at byte 16, but the file has 12");
    for (version, hint) in
        [(1u32, "; convert it again with a current tool"), (4, ""), (3 << 24, "; it is a big-endian file")]
    {
        let want = format!("gguf version {version} is not supported, expected 2 or 3{hint}");
        check(&[b"GGUF", &version.to_le_bytes()[..], &bytes[8..]].concat(), &want);
    }
    let version_2 = [b"GGUF", &2u32.to_le_bytes()[..], &bytes[8..]].concat();
    assert_eq!(Gguf::from_bytes("m.gguf", version_2).unwrap().tensors().len(), 2);
}

#[test]
fn a_count_larger_than_the_file_is_named() {
    let mut bytes = small().to_bytes();
    let (len, huge) = (bytes.len(), u64::MAX / 8);
    bytes[8..16].copy_from_slice(&huge.to_le_bytes());
    let (left, most) = (len - 16, (len - 16) / 32);
    let want = format!("the tensor count claims {huge} entries, but the {left} bytes after it hold at most {most}");
    check(&bytes, &want);
    bytes[8..16].copy_from_slice(&2u64.to_le_bytes());
    bytes[16..24].copy_from_slice(&huge.to_le_bytes());
    let (left, most) = (len - 24, (len - 24) / 13);
    let want = format!("the metadata count claims {huge} entries, but the {left} bytes after it hold at most {most}");
    check(&bytes, &want);
    let tokens = [&b"tokenizer.ggml.tokens"[..], &9u32.to_le_bytes(), &8u32.to_le_bytes()].concat();
    let bytes = patched(&[&tokens[..], &3u64.to_le_bytes()].concat(), &[&tokens[..], &huge.to_le_bytes()].concat());
    let at = bytes.windows(8).position(|window| window == huge.to_le_bytes()).unwrap() + 8;
    let (left, most) = (len - at, (len - at) / 8);
    let key = "metadata key tokenizer.ggml.tokens";
    check(&bytes, &format!("{key} claims {huge} entries, but the {left} bytes after it hold at most {most}"));
}

#[test]
fn a_bad_key_is_named() {
    let alignment = |n: u32| small().set("general.alignment", n).to_bytes();
    let power = |n| format!("metadata key general.alignment is {n}, expected a power of two");
    let nested = |key: &str, of: u32| [key.as_bytes(), &9u32.to_le_bytes(), &of.to_le_bytes()].concat();
    let array = "tokenizer.ggml.scores";
    for (bytes, want) in [
        (small().set("big", 1u32).to_bytes(), "metadata key big appears twice"),
        (alignment(0), power(0).as_str()),
        (alignment(24), power(24).as_str()),
        (
            small().set("general.alignment", "32").to_bytes(),
            "metadata key general.alignment has type string, expected u32",
        ),
        (
            patched(&nested(array, 6), &nested(array, 9)),
            "metadata key tokenizer.ggml.scores is an array of arrays, which is not supported",
        ),
        (
            patched(&nested(array, 6), &nested(array, 13)),
            "metadata key tokenizer.ggml.scores has type number 13, expected 0 to 12",
        ),
        (patched("é".as_bytes(), b"\xc3\x28"), "metadata key tokenizer.ggml.tokens holds text that is not UTF-8"),
        (patched(b"general.arch", b"general\xff.ar"), "the key of metadata entry 0 is not UTF-8"),
        (
            patched(b"add_bos_token\x07\0\0\0\x01", b"add_bos_token\x07\0\0\0\x02"),
            "metadata key tokenizer.ggml.add_bos_token holds a boolean that is neither 0 nor 1",
        ),
    ] {
        check(&bytes, want);
    }
}

#[test]
fn a_bad_tensor_is_named() {
    let good = table_row(2, &[3, 2], 0, 0);
    let row = |n_dims, dims: &[u64], dtype, offset| patched(&good, &table_row(n_dims, dims, dtype, offset));
    let len = small().to_bytes().len();
    for (bytes, want) in [
        (row(0, &[3, 2], 0, 0), "tensor a.weight has 0 dimensions, expected 1 to 4"),
        (row(5, &[3, 2], 0, 0), "tensor a.weight has 5 dimensions, expected 1 to 4"),
        (row(2, &[3, 0], 0, 0), "tensor a.weight has an empty dimension in [3, 0]"),
        (
            row(2, &[3, u64::MAX], 0, 0),
            "tensor a.weight has dimensions [3, 18446744073709551615], whose product overflows",
        ),
        (
            row(2, &[1 << 31, 1 << 31], 0, 0),
            "tensor a.weight has dimensions [2147483648, 2147483648], whose product overflows",
        ),
        (row(2, &[3, 2], 12, 0), "tensor a.weight has rows of 3 elements, but Q4_K needs a multiple of 256"),
        (
            row(2, &[256, 1], 16, 0),
            "tensor a.weight has encoding number 16, which is not supported; use a file quantized to F32, F16, BF16, \
             Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL or IQ4_XS",
        ),
        (row(2, &[3, 2], 0, 16), "tensor a.weight starts at offset 16, which is not a multiple of 32"),
        (
            row(2, &[3, 2], 0, 4096),
            &format!("tensor a.weight ends at byte {}, but the file has {len}", len - 34 - 32 + 4096 + 24),
        ),
        (
            row(2, &[3, 2], 0, u64::MAX - 31),
            &format!("tensor a.weight ends at byte {}, but the file has {len}", u64::MAX),
        ),
        (patched(b"b.weight", b"a.weight"), "tensor a.weight appears twice"),
        (patched(b"b.weight\x02", b"\x1b[2Jabcd\x09"), r"tensor \u{1b}[2Jabcd has 9 dimensions, expected 1 to 4"),
    ] {
        check(&bytes, want);
    }
    let bytes = small().to_bytes();
    check(&bytes[..len - 1], &format!("tensor b.weight ends at byte {len}, but the file has {}", len - 1));
}

#[test]
fn a_question_that_the_file_cannot_answer_says_why() {
    let gguf = Gguf::from_bytes("m.gguf", small().to_bytes()).unwrap();
    let metadata = gguf.metadata();
    for (error, want) in [
        (metadata.get_u32("none").unwrap_err(), "metadata key none is missing, expected type u32"),
        (
            metadata.get_u32("big").unwrap_err(),
            "metadata key big has the value 18446744073709551615, which does not fit u32",
        ),
        (
            metadata.find_u32("general.architecture").unwrap_err(),
            "metadata key general.architecture has type string, expected u32",
        ),
        (
            metadata.get_strs("tokenizer.ggml.scores").unwrap_err(),
            "metadata key tokenizer.ggml.scores has type array of 2 f32, expected array of string",
        ),
        (
            metadata.get_i32s("tokenizer.ggml.tokens").unwrap_err(),
            "metadata key tokenizer.ggml.tokens has type array of 3 string, expected array of i32",
        ),
        (
            metadata.get_bool("llama.block_count").unwrap_err(),
            "metadata key llama.block_count has type u32, expected bool",
        ),
        (gguf.tensor("c.weight").unwrap_err(), "tensor c.weight is missing from m.gguf"),
    ] {
        assert_eq!(error.to_string(), want);
    }
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.gguf");
    let message = |path: &Path| Gguf::open(path).unwrap_err().to_string();
    assert!(message(&absent).starts_with(&format!("opening {}: No such file", absent.display())));
    assert_eq!(message(folder.path()), format!("opening {}: is a folder, expected a file", folder.path().display()));
}

/// Only where a real model is at hand: its header loads fast, and its vocabulary is there in full.
#[test]
fn a_real_header_loads_fast() {
    let Some(path) = std::env::var_os("PARTITA_TEST_MODEL") else { return };
    let start = std::time::Instant::now();
    let gguf = Gguf::open(Path::new(&path)).unwrap();
    let tokens = gguf.metadata().get_strs("tokenizer.ggml.tokens").unwrap();
    assert!(tokens.len() > 1000 && start.elapsed().as_millis() < 150, "{} {:?}", tokens.len(), start.elapsed());
}
