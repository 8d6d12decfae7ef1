//! Model files that nobody wrote on purpose: thousands of mutations of a small one.
//!
//! Whatever comes out, opening it ends in a value or in one line of text; a value answers every question without a
//! panic. Huge claims are part of the mutations, so an allocation that trusts one aborts this binary.

use partita::gguf::write::Writer;
use partita::gguf::{Error, Gguf};
use partita::types::Dtype;
use proptest::prelude::*;

fn small() -> Vec<u8> {
    let mut writer = Writer::new();
    writer
        .set("general.architecture", "llama")
        .set("general.alignment", 64u32)
        .set("llama.block_count", 2u32)
        .set("llama.rope.freq_base", 10000.0f32)
        .set("tokenizer.ggml.add_bos_token", true)
        .set("tokenizer.ggml.tokens", vec!["a", "", "é", "<|end|>"])
        .set("tokenizer.ggml.scores", vec![0.5f32, -1.0])
        .set("tokenizer.ggml.token_type", vec![1i32, 3])
        .tensor_f32("token_embd.weight", &[2, 3], &[1.0; 6])
        .tensor("blk.0.ffn_up.weight", &[1, 32], Dtype::Q8_0, vec![7; 34])
        .tensor("blk.0.ffn_down.weight", &[2, 2, 2, 256], Dtype::Q4_K, vec![7; 8 * 144]);
    writer.to_bytes()
}

/// One change of a file, at a place given as a share of its length.
#[derive(Debug, Clone)]
enum Mutation {
    Byte(f64, u8),
    Word(f64, u32),
    Long(f64, u64),
    Cut(f64),
    Remove(f64, usize),
    Repeat(f64, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = 0.0..1.0f64;
    // The header of the small file is about a third of it; half of all changes aim there.
    let at = prop_oneof![at.clone(), at.prop_map(|at| at / 3.0)].boxed();
    let extreme = prop_oneof![
        (0u32..64).prop_map(|shift| 1u64 << shift),
        (0u32..64).prop_map(|shift| u64::MAX >> shift),
        (0u64..2048),
        any::<u64>(),
    ];
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, x)| Mutation::Byte(at, x)),
        (at.clone(), 0u32..48).prop_map(|(at, x)| Mutation::Word(at, x)),
        (at.clone(), extreme).prop_map(|(at, x)| Mutation::Long(at, x)),
        at.clone().prop_map(Mutation::Cut),
        (at.clone(), 1usize..64).prop_map(|(at, n)| Mutation::Remove(at, n)),
        (at, 1usize..64).prop_map(|(at, n)| Mutation::Repeat(at, n)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let place = |at: f64, bytes: &[u8]| (at * bytes.len() as f64) as usize;
    let put = |bytes: &mut Vec<u8>, at: usize, new: &[u8]| {
        let end = (at + new.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&new[..end - at]);
    };
    match *mutation {
        Mutation::Byte(at, x) => put(bytes, place(at, bytes), &[x]),
        Mutation::Word(at, x) => put(bytes, place(at, bytes), &x.to_le_bytes()),
        Mutation::Long(at, x) => put(bytes, place(at, bytes), &x.to_le_bytes()),
        Mutation::Cut(at) => bytes.truncate(place(at, bytes)),
        Mutation::Remove(at, n) => {
            let at = place(at, bytes);
            bytes.drain(at..(at + n).min(bytes.len()));
        }
        Mutation::Repeat(at, n) => {
            let at = place(at, bytes);
            let again = bytes[at..(at + n).min(bytes.len())].to_vec();
            bytes.splice(at..at, again);
        }
    }
}

/// Asks everything that can be asked; returns the sum of what it saw, so that nothing is optimized away.
fn ask_everything(gguf: &Gguf) -> usize {
    let metadata = gguf.metadata();
    let asked = metadata.keys().map(|key| {
        let answers: [Result<usize, Error>; 8] = [
            metadata.get_u32(key).map(|x| x as usize),
            metadata.get_u64(key).map(|x| x as usize),
            metadata.get_f32(key).map(|x| x as usize),
            metadata.get_bool(key).map(usize::from),
            metadata.get_str(key).map(str::len),
            metadata.get_strs(key).map(|xs| xs.len()),
            metadata.get_f32s(key).map(|xs| xs.len()),
            metadata.get_i32s(key).map(|xs| xs.len()),
        ];
        let described = metadata.describe(key).expect("the key is there").len();
        answers.into_iter().flatten().fold(described, usize::wrapping_add)
    });
    let seen = asked.fold(0, usize::wrapping_add);
    let data = gguf.tensors().iter().map(|info| {
        let view = gguf.tensor(&info.name).expect("the table names it");
        assert_eq!(view.data.len(), info.n_bytes);
        view.data.iter().map(|&b| b as usize).sum::<usize>()
    });
    data.fold(seen, usize::wrapping_add)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_file_is_read_or_refused(mutations in prop::collection::vec(mutation(), 1..4)) {
        let mut bytes = small();
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        match Gguf::from_bytes("m.gguf", bytes) {
            Ok(gguf) => drop(ask_everything(&gguf)),
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.len() < 1000 && !message.chars().any(char::is_control), "{}", message);
            }
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes = small();
    for len in 0..bytes.len() {
        let error = Gguf::from_bytes("m.gguf", bytes[..len].to_vec()).expect_err("something is missing").to_string();
        assert!(len < 4 || error.contains(" but the "), "{len}: {error}");
    }
    assert!(ask_everything(&Gguf::from_bytes("m.gguf", bytes).unwrap()) > 0);
}
