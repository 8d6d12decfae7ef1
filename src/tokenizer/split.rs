//! Pre-tokenizers: how text is cut into words before byte pairs are merged, one row per name in `tokenizer.ggml.pre`.
//!
//! Every pattern runs in linear time: the only look-ahead that these splits need, `\s+(?!\S)`, is done by giving the
//! last space of a run back to the word after it. Stages follow each other; a stage sees the pieces of the one
//! before it, each by itself. What a pattern does not match is a piece too, so no byte is lost.
//! Invariant: the pieces joined are the text.
//! Source: the splits published in the models' own `tokenizer.json`; their names as llama.cpp gives them.

use std::ops::Range;

use regex::Regex;

/// One pattern and what becomes of the whitespace that it leaves.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Nothing more.
    Only(&'static str),
    /// `|\s+(?!\S)|\s+` follows.
    Spaces(&'static str),
    /// `|\s*[\r\n]+|\s+(?!\S)|\s+` follows.
    Lines(&'static str),
}

/// A row: names, stages, and what the name says about the rest of the tokenizer.
struct Row {
    names: &'static [&'static str],
    stages: &'static [Stage],
    /// A word that is a token is not built by merges.
    whole_words: bool,
    /// Whether a prompt starts with the BOS token where the file does not say.
    add_bos: bool,
}

const GPT2: Stage = Stage::Spaces(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+");
const LLAMA3: Stage = Stage::Lines(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*",
);
const QWEN2: Stage = Stage::Lines(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*",
);
const QWEN35: Stage = Stage::Lines(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
);
const TEKKEN: Stage = Stage::Lines(concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|",
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*"
));
const GPT4O: Stage = Stage::Lines(concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|",
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*"
));
const DEEPSEEK3: Stage = Stage::Lines(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"##,
);
const BLOOM: Stage = Stage::Only(r" ?[^(\s|.,!?…。，、।۔،)]+");
const DIGIT: Stage = Stage::Only(r"\p{N}");
const DIGITS: Stage = Stage::Only(r"\p{N}{1,3}");
const LINE_ENDS: Stage = Stage::Only(r"[\r\n]");
const CJK: Stage = Stage::Only("[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+");
const CJK_WIDE: Stage = Stage::Only("[\u{4e00}-\u{9fa5}\u{800}-\u{4e00}\u{ac00}-\u{d7ff}]+");
const THREE_DIGITS: Stage = Stage::Only("[0-9][0-9][0-9]");

const fn row(names: &'static [&'static str], stages: &'static [Stage]) -> Row {
    Row { names, stages, whole_words: false, add_bos: false }
}

const ROWS: [Row; 17] = [
    Row {
        names: &["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
        stages: &[LLAMA3],
        whole_words: true,
        add_bos: true,
    },
    Row { names: &["glm4"], stages: &[LLAMA3], whole_words: true, add_bos: false },
    row(&["smaug-bpe", "dbrx", "chatglm-bpe"], &[LLAMA3]),
    row(&["qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez", "solar-open", "grok-2"], &[QWEN2]),
    row(&["qwen35"], &[QWEN35]),
    row(
        &["gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4", "gigachat", "mellum"],
        &[GPT2],
    ),
    row(
        &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
        &[DIGIT, GPT2],
    ),
    Row { names: &["tekken"], stages: &[TEKKEN], whole_words: true, add_bos: true },
    row(&["gpt-4o", "llama4", "kanana2", "minimax-m2"], &[GPT4O]),
    row(&["deepseek-v3", "hunyuan-dense", "joyai-llm"], &[DIGITS, CJK, DEEPSEEK3]),
    row(&["deepseek-coder"], &[LINE_ENDS, Stage::Only(r"\s?\p{L}+"), Stage::Only(r"\s?\p{P}+"), CJK_WIDE, DIGIT]),
    row(&["falcon"], &[Stage::Only(r"[\p{P}$+<=>^~|`]+"), GPT2, THREE_DIGITS]),
    row(&["default"], &[Stage::Only(r"[\p{P}$+<=>^~|]+"), GPT2, Stage::Only(r"\p{N}+"), THREE_DIGITS]),
    row(&["bloom", "poro-chat", "gpt3-finnish"], &[BLOOM]),
    row(&["viking"], &[BLOOM, DIGIT]),
    row(
        &["bailingmoe", "bailingmoe2", "llada-moe"],
        &[Stage::Lines(
            r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*",
        )],
    ),
    row(
        &["seed-coder"],
        &[Stage::Lines(
            r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+",
        )],
    ),
];

/// Cuts text into words.
#[derive(Debug)]
pub(super) struct Splitter {
    stages: Vec<(Regex, Stage)>,
    /// A word that is a token is not built by merges.
    pub(super) whole_words: bool,
    /// Whether a prompt starts with the BOS token where the file does not say.
    pub(super) add_bos: bool,
}

impl Splitter {
    /// The splitter of this name, or `None` if Partita does not know it.
    pub(super) fn find(name: &str) -> Option<Self> {
        let row = ROWS.iter().find(|row| row.names.contains(&name))?;
        let stages = row.stages.iter().map(|stage| (stage.compile(), *stage)).collect();
        Some(Self { stages, whole_words: row.whole_words, add_bos: row.add_bos })
    }

    /// Every name known, in the order of the table.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        ROWS.iter().flat_map(|row| row.names.iter().copied())
    }

    /// The words of `text`, in order, none empty.
    pub(super) fn split(&self, text: &str) -> Vec<Range<usize>> {
        let mut pieces: Vec<Range<usize>> = Vec::new();
        if !text.is_empty() {
            pieces.push(0..text.len());
        }
        for (regex, stage) in &self.stages {
            let mut next = Vec::with_capacity(pieces.len().max(text.len() / 4));
            for piece in &pieces {
                stage.split(regex, &text[piece.clone()], piece.start, &mut next);
            }
            pieces = next;
        }
        pieces
    }
}

impl Stage {
    fn compile(self) -> Regex {
        let pattern = match self {
            Self::Only(pattern) => pattern.to_owned(),
            Self::Spaces(pattern) => format!(r"{pattern}|\s+"),
            Self::Lines(pattern) => format!(r"{pattern}|\s*[\r\n]+|\s+"),
        };
        Regex::new(&pattern).expect("the patterns of the table are valid")
    }

    /// Appends the matches in `text` and the gaps between them, moved by `offset`.
    fn split(self, regex: &Regex, text: &str, offset: usize, pieces: &mut Vec<Range<usize>>) {
        let mut at = 0;
        while let Some(found) = regex.find_at(text, at) {
            let end = self.end(text, found.range());
            for piece in [at..found.start(), found.start()..end] {
                if !piece.is_empty() {
                    pieces.push(offset + piece.start..offset + piece.end);
                }
            }
            at = end;
        }
        if at < text.len() {
            pieces.push(offset + at..offset + text.len());
        }
    }

    /// Where a match ends once `\s+(?!\S)` is honoured: a run of spaces before a word leaves it the last one.
    fn end(self, text: &str, found: Range<usize>) -> usize {
        let last = text[found.clone()].chars().next_back().filter(|last| last.is_whitespace());
        let Some(last) = last else { return found.end };
        let is_run = match self {
            Self::Only(_) => false,
            Self::Spaces(_) => true,
            Self::Lines(_) => !matches!(last, '\r' | '\n'),
        };
        let shorter = found.end - last.len_utf8();
        if is_run && found.end < text.len() && shorter > found.start { shorter } else { found.end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, want: &[&str]) {
        let words: Vec<&str> = Splitter::find(name).unwrap().split(text).into_iter().map(|word| &text[word]).collect();
        assert_eq!(words, want, "{name}: {text:?}");
        assert_eq!(words.concat(), text);
    }

    #[test]
    fn words_follow_the_published_patterns() {
        for (name, text, want) in [
            ("gpt-2", "Hello  world's 123!", &["Hello", " ", " world", "'s", " 123", "!"][..]),
            ("gpt-2", "a\n\nb  ", &["a", "\n", "\n", "b", "  "]),
            ("llama-bpe", "a\n\n b 12345 DON'T", &["a", "\n\n", " b", " ", "123", "45", " DON", "'T"]),
            ("llama-bpe", "x  \n  \ty!\r\n", &["x", "  \n", "  ", "\ty", "!\r\n"]),
            ("qwen2", "12 \t\u{3000}z", &["1", "2", " \t", "\u{3000}z"]),
            ("smollm", "a12 3", &["a", "1", "2", " ", "3"]),
            ("tekken", "helloWorld/x", &["hello", "World", "/x"]),
            ("gpt-4o", "It's ALLCAPS's", &["It's", " ALLCAPS's"]),
            ("deepseek-v3", "1234漢字x", &["123", "4", "漢字", "x"]),
            ("falcon", "1234 56", &["123", "4", " 56"]),
            ("qwen2", "", &[]),
        ] {
            check(name, text, want);
        }
    }

    #[test]
    fn every_row_compiles_and_names_are_unique() {
        let mut names: Vec<_> = Splitter::names().collect();
        for name in &names {
            check(name, "", &[]);
        }
        let n_names = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), n_names);
        assert!(Splitter::find("no-such").is_none());
    }
}
