//! Token ids of real vocabularies, held against those of llama.cpp.
//!
//! `PARTITA_TEST_MODEL` names one or more model files (separated as in `PATH`), `PARTITA_VOCABS` a folder of
//! `ggml-vocab-*.gguf` with their `.inp` and `.out` files, as llama.cpp's source has. Without them nothing runs here;
//! the small vocabularies of the unit tests cover the same code.
//! Golden files: `tests/data/tokenizer/strings.json` holds the texts; each other file one row per text, the ids
//! without and with control tokens parsed. One deliberate difference is not in the table: llama.cpp takes `</s>` for a
//! control token by its name even in vocabularies where it is an ordinary word (Qwen2's HTML).

use std::path::{Path, PathBuf};

use partita::gguf::Gguf;
use partita::tokenizer::{Special, Tokenizer};
use partita::types::Token;

const STRINGS: &str = include_str!("../data/tokenizer/strings.json");
/// `(tokenizer.ggml.pre, golden ids)`.
const GOLDEN: [(&str, &str); 2] = [
    ("smollm", include_str!("../data/tokenizer/smollm2.json")),
    ("qwen2", include_str!("../data/tokenizer/qwen2.json")),
];

fn models() -> Vec<PathBuf> {
    std::env::var_os("PARTITA_TEST_MODEL").map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default()
}

fn open(path: &Path) -> (Gguf, Tokenizer) {
    let gguf = Gguf::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let tokenizer = Tokenizer::from_gguf(gguf.metadata()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (gguf, tokenizer)
}

#[test]
fn ids_of_hard_strings_equal_llama_cpp() {
    for path in models() {
        let (gguf, tokenizer) = open(&path);
        let pre = gguf.metadata().get_str("tokenizer.ggml.pre").unwrap();
        let Some((_, golden)) = GOLDEN.iter().find(|(name, _)| *name == pre) else { continue };
        let texts: Vec<String> = serde_json::from_str(STRINGS).unwrap();
        let rows: Vec<[Vec<Token>; 2]> = serde_json::from_str(golden).unwrap();
        assert_eq!(texts.len(), rows.len());
        let mut wrong = Vec::new();
        for (text, want) in texts.iter().zip(&rows) {
            for (special, want) in [Special::AsText, Special::Parse].into_iter().zip(want) {
                let got = tokenizer.encode(text, special);
                if got != *want {
                    wrong.push(format!("{text:?} {special:?}:\n  got  {got:?}\n  want {want:?}"));
                }
            }
            let tokens = tokenizer.encode(text, Special::AsText);
            assert_eq!(tokenizer.decode(&tokens), *text, "{}: decoding what was encoded", path.display());
        }
        assert!(wrong.is_empty(), "{}: {} rows differ\n{}", path.display(), wrong.len(), wrong.join("\n"));
    }
}

/// Texts and ids from a vocabulary's own test files, if it has them.
fn published_rows(vocab: &Path) -> Option<Vec<(String, Vec<Token>)>> {
    let with = |suffix: &str| std::fs::read_to_string(format!("{}{suffix}", vocab.display())).ok();
    let (texts, ids) = (with(".inp")?, with(".out")?);
    let texts = texts.split("\n__ggml_vocab_test__\n").map(str::to_owned);
    let ids = ids.lines().map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect());
    Some(texts.zip(ids).collect())
}

#[test]
fn ids_equal_those_published_with_vocabularies() {
    let Some(folder) = std::env::var_os("PARTITA_VOCABS") else { return };
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let (mut equal, mut wrong, mut unsupported) = (Vec::new(), Vec::new(), Vec::new());
    for path in entries.iter().filter(|path| path.extension().is_some_and(|extension| extension == "gguf")) {
        let Some(rows) = published_rows(path) else { continue };
        let gguf = Gguf::open(path).unwrap();
        let tokenizer = match Tokenizer::from_gguf(gguf.metadata()) {
            Ok(tokenizer) => tokenizer,
            Err(error) => {
                unsupported.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        let n_wrong = wrong.len();
        for (text, want) in &rows {
            let got = tokenizer.encode(text, Special::AsText);
            if got != *want {
                wrong.push(format!("{}: {text:?}\n  got  {got:?}\n  want {want:?}", path.display()));
            }
        }
        if wrong.len() == n_wrong {
            equal.push(path.display());
        }
    }
    assert!(
        !equal.is_empty() && wrong.is_empty(),
        "equal: {equal:#?}\nunsupported: {unsupported:#?}\n{}",
        wrong.join("\n")
    );
}
