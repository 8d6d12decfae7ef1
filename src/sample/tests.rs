//! Draws against a naive twin that sorts everything in f64; grammars over a small byte-level vocabulary.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::grammar::Vocabulary;
use super::*;
use crate::types::{Grammar, Sampling, Token};

const END: Token = 0;
const CONTROL: Token = 1;
const FIRST_BYTE: Token = 2;
/// Longer tokens, so that forcing has something to heal.
const WORDS: [&str; 10] = ["{\"", "\":", "\":\"", "name", "na", "\",\"", "\"}", "true", "user", "ame"];

fn toy() -> Grammars {
    let mut words = vec![b"\xff<|end|>".to_vec(), b"\xff<|turn|>".to_vec()];
    words.extend((0..=u8::MAX).map(|byte| vec![byte]));
    words.extend(WORDS.iter().map(|word| word.as_bytes().to_vec()));
    words.push(Vec::new());
    let table = words.clone();
    let encode = move |text: &str| {
        let mut rest = text.as_bytes();
        let mut tokens = Vec::new();
        while !rest.is_empty() {
            let fits = |&id: &usize| !table[id].is_empty() && rest.starts_with(&table[id]);
            let id = (0..table.len()).filter(fits).max_by_key(|&id| table[id].len()).expect("every byte is a token");
            tokens.push(id as Token);
            rest = &rest[table[id].len()..];
        }
        tokens
    };
    Grammars::of_vocabulary(n_toy(), || Vocabulary { words, ends: vec![END], encode: Box::new(encode) })
}

fn n_toy() -> usize {
    256 + 2 + WORDS.len() + 1
}

fn text_of(tokens: &[Token]) -> String {
    let bytes = |&token: &Token| match token {
        END | CONTROL => Vec::new(),
        byte if byte < FIRST_BYTE + 256 => vec![(byte - FIRST_BYTE) as u8],
        word => WORDS[(word - FIRST_BYTE - 256) as usize].as_bytes().to_vec(),
    };
    String::from_utf8(tokens.iter().flat_map(bytes).collect()).expect("grammars allow valid UTF-8 only")
}

/// Follows a grammar with random logits until it ends or `max_tokens` are there.
fn generate(grammars: &Grammars, grammar: &Grammar, seed: u64, max_tokens: usize) -> (Vec<Token>, bool) {
    let mut constraint = grammars.compile(grammar).unwrap();
    let mut sampler = Sampler::new(&Sampling { temperature: 1.0, seed, ..Sampling::default() }).unwrap();
    let mut noise = Random::new(seed ^ 0xabcd);
    let mut tokens = constraint.forced().unwrap();
    while !constraint.is_stopped() && tokens.len() < max_tokens {
        let mask = constraint.mask().unwrap();
        // Four more logits than tokens, as padded output heads have.
        let mut logits: Vec<f32> = (0..n_toy() + 4).map(|_| 4.0 * noise.next_unit() as f32).collect();
        // Texts that close soon.
        logits[(FIRST_BYTE + u32::from(b'"')) as usize] += 4.0;
        let pick = sampler.pick(&mut logits, Some(&mask.clone().into())).unwrap();
        assert!(mask.allows(pick.token), "drew a masked token");
        constraint.accept(pick.token).unwrap();
        if pick.token == END {
            return (tokens, true);
        }
        tokens.push(pick.token);
        tokens.extend(constraint.forced().unwrap());
    }
    (tokens, constraint.is_stopped())
}

fn sampler(change: impl FnOnce(&mut Sampling)) -> Sampler {
    let mut sampling = Sampling::default();
    change(&mut sampling);
    Sampler::new(&sampling).unwrap()
}

#[test]
fn greedy_takes_the_lowest_of_the_best() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    for (logits, mask, want) in [
        (vec![1.0, 3.0, 3.0, 2.0], None, Some(1)),
        (vec![-5.0], None, Some(0)),
        (vec![nan, -inf, 0.5, nan], None, Some(2)),
        (vec![0.0, inf, inf], None, Some(1)),
        (vec![9.0, 1.0, 1.0], Some(vec![1, 2]), Some(1)),
        (vec![9.0, 1.0, 1.0], Some(vec![2]), Some(2)),
        // The mask covers two tokens; the third logit is padding.
        (vec![0.0, 1.0, 9.0], Some(vec![0, 1, 2]), Some(1)),
        (vec![nan, nan], None, None),
        (vec![1.0, 2.0], Some(vec![]), None),
        (vec![], None, None),
    ] {
        let n_vocab =
            if logits.len() == 3 && mask.as_ref().is_some_and(|m: &Vec<Token>| m.len() == 3) { 2 } else { 64 };
        let allowed = mask.map(|tokens| Allowed::from(Mask::of(&tokens, n_vocab)));
        let pick = sampler(|_| ()).pick(&mut logits.clone(), allowed.as_ref());
        assert_eq!(pick.ok().map(|p| p.token), want, "{logits:?} {allowed:?}");
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let check = |change: fn(&mut Sampling), want: &str| {
        let mut sampling = Sampling::default();
        change(&mut sampling);
        assert_eq!(Sampler::new(&sampling).unwrap_err().to_string(), want);
    };
    check(|s| s.temperature = -1.0, "sampling option temperature is -1, expected 0 or more");
    check(|s| s.temperature = f32::NAN, "sampling option temperature is NaN, expected 0 or more");
    check(|s| s.top_p = 0.0, "sampling option top_p is 0, expected more than 0 and at most 1");
    check(|s| s.min_p = 1.5, "sampling option min_p is 1.5, expected 0 to 1");
    check(|s| s.repetition_penalty = 0.0, "sampling option repetition_penalty is 0, expected more than 0");
}

#[test]
fn the_penalty_sees_the_latest_64_tokens_once_each() {
    let pick = |seen: &[Token]| {
        let mut sampler = sampler(|s| s.repetition_penalty = 2.0);
        seen.iter().for_each(|&token| sampler.accept(token));
        sampler.pick(&mut [3.0, 2.0, -1.0], None).unwrap().token
    };
    assert_eq!(pick(&[]), 0);
    assert_eq!(pick(&[0]), 1);
    assert_eq!(pick(&[0, 0, 1]), 0, "seen twice counts once: 1.5 against 1.0");
    let mut old = vec![0];
    old.extend([2; 64]);
    assert_eq!(pick(&old), 0, "64 later tokens push it out");
    assert_eq!(pick(&[77]), 0, "a token outside the vocabulary does nothing");
}

#[test]
fn the_penalty_leaves_the_reported_probability_alone() {
    let mut sampler = sampler(|s| {
        s.repetition_penalty = 4.0;
        s.n_logprobs = 2;
    });
    sampler.accept(0);
    let pick = sampler.pick(&mut [2.0, 1.0], None).unwrap();
    let normalizer = (2.0_f32.exp() + 1.0_f32.exp()).ln();
    assert_eq!(pick.token, 1);
    assert!((pick.logprob - (1.0 - normalizer)).abs() < 1e-6);
    assert_eq!(pick.top.iter().map(|t| t.0).collect::<Vec<_>>(), [0, 1]);
    assert!((pick.top[0].1 - (2.0 - normalizer)).abs() < 1e-6);
}

/// Tokens and probabilities that the options leave, by sorting everything.
fn twin(logits: &[f32], s: &Sampling) -> Vec<(Token, f64)> {
    let scaled: Vec<f64> = logits.iter().map(|&x| f64::from(x) / f64::from(s.temperature)).collect();
    let max = scaled.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    let mut kept: Vec<(Token, f64)> = scaled.iter().zip(0..).map(|(x, token)| (token, (x - max).exp())).collect();
    kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    if s.top_k > 0 {
        kept.truncate(s.top_k);
    }
    kept.retain(|(_, weight)| *weight >= f64::from(s.min_p));
    let total: f64 = kept.iter().map(|k| k.1).sum();
    let mut sum = 0.0;
    let last = kept.iter().position(|(_, weight)| {
        sum += weight;
        sum >= f64::from(s.top_p) * total
    });
    kept.truncate(last.map_or(kept.len(), |last| last + 1));
    let total: f64 = kept.iter().map(|k| k.1).sum();
    kept.into_iter().map(|(token, weight)| (token, weight / total)).collect()
}

#[test]
fn draws_follow_the_distribution_that_the_options_leave() {
    let mut noise = Random::new(7);
    let logits: Vec<f32> = (0..300).map(|_| 12.0 * (noise.next_unit() as f32).powi(3)).collect();
    for (temperature, top_k, top_p, min_p) in [
        (1.0, 0, 1.0, 0.0),
        (1.0, 5, 1.0, 0.0),
        (0.7, 0, 0.9, 0.0),
        (1.5, 0, 0.5, 0.0),
        (1.0, 0, 1.0, 0.1),
        (2.0, 40, 0.8, 0.05),
        (1.0, 300, 0.999, 0.0),
        (5.0, 0, 0.9, 0.3),
        (1.0, 1, 1.0, 0.0),
        (1e-30, 0, 1.0, 0.0),
        (100.0, 0, 0.2, 0.0),
    ] {
        let sampling = Sampling { temperature, top_k, top_p, min_p, seed: 3, ..Sampling::default() };
        let want = twin(&logits, &sampling);
        let mut sampler = Sampler::new(&sampling).unwrap();
        let n_draws = 20_000;
        let mut counts = vec![0_u32; logits.len()];
        for _ in 0..n_draws {
            counts[sampler.pick(&mut logits.clone(), None).unwrap().token as usize] += 1;
        }
        for (token, probability) in &want {
            let expected = probability * f64::from(n_draws);
            let off = (f64::from(counts[*token as usize]) - expected).abs();
            assert!(off <= 5.0 * expected.sqrt() + 2.0, "{sampling:?} token {token}: off by {off} from {expected}");
            counts[*token as usize] = 0;
        }
        // At the edge of top-p, f32 and f64 may disagree about one token.
        let n_outside = counts.iter().filter(|&&count| count > 0).count();
        assert!(n_outside <= 1, "{sampling:?} drew {n_outside} tokens that should be cut off");
    }
}

#[test]
fn the_seed_decides() {
    let draw = |seed| {
        let mut sampler = sampler(|s| {
            s.temperature = 1.0;
            s.seed = seed;
        });
        (0..40).map(|_| sampler.pick(&mut vec![0.0; 1000], None).unwrap().token).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn exp_is_accurate() {
    for i in 0..=870_000 {
        let x = -(i as f32) * 1e-4;
        let (got, want) = (f64::from(numeric::exp(x)), f64::from(x).exp());
        assert!((got - want).abs() <= 3e-7 * want, "exp({x}) = {got}, want {want}");
    }
    assert_eq!(numeric::exp(0.0), 1.0);
    assert_eq!(numeric::exp(-88.0), 0.0);
    assert_eq!(numeric::exp(f32::NEG_INFINITY), 0.0);
}

proptest! {
    #[test]
    fn log_probabilities_are_those_of_the_masked_distribution(
        logits in prop::collection::vec(-40.0_f32..40.0, 1..400),
        allowed in prop::collection::vec(any::<bool>(), 400),
        temperature in prop_oneof![Just(0.0_f32), 0.1_f32..3.0],
    ) {
        let tokens: Vec<Token> = (0..logits.len() as Token).filter(|&t| allowed[t as usize]).collect();
        let mask = Mask::of(&tokens, logits.len());
        let sampling = Sampling { temperature, n_logprobs: 1000, ..Sampling::default() };
        let picked = Sampler::new(&sampling).unwrap().pick(&mut logits.clone(), Some(&mask.clone().into()));
        prop_assert_eq!(mask.n_allowed(), tokens.len());
        let Ok(pick) = picked else {
            prop_assert!(tokens.is_empty());
            return Ok(());
        };
        let normalizer = tokens.iter().map(|&t| f64::from(logits[t as usize]).exp()).sum::<f64>().ln();
        let want = |t: Token| f64::from(logits[t as usize]) - normalizer;
        prop_assert!((f64::from(pick.logprob) - want(pick.token)).abs() < 1e-4);
        prop_assert_eq!(pick.top.len(), tokens.len());
        // Logits that differ in their last bits have the same logarithm; they are in the order of the logits.
        let at = |t: Token| logits[t as usize];
        let is_before = |one: Token, other: Token| at(one) > at(other) || at(one) == at(other) && one < other;
        prop_assert!(pick.top.windows(2).all(|w| w[0].1 >= w[1].1 && is_before(w[0].0, w[1].0)));
        prop_assert!(pick.top.iter().all(|&(t, p)| (f64::from(p) - want(t)).abs() < 1e-4));
        let total: f64 = pick.top.iter().map(|&(_, p)| f64::from(p).exp()).sum();
        prop_assert!((total - 1.0).abs() < 1e-4);
    }

    #[test]
    fn few_log_probabilities_are_the_best_ones(
        logits in prop::collection::vec(-200.0_f32..40.0, 1..400), n in 1_usize..12,
    ) {
        let mut all: Vec<Token> = (0..logits.len() as Token).collect();
        all.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
        all.truncate(n);
        let pick = sampler(|s| s.n_logprobs = n).pick(&mut logits.clone(), None).unwrap();
        prop_assert_eq!(pick.top.iter().map(|t| t.0).collect::<Vec<_>>(), all);
    }
}

proptest! {
    #[test]
    fn few_tokens_are_drawn_the_same_with_and_without_the_other_logits(
        seed in any::<u64>(), n_allowed in 1_usize..20, penalty in prop_oneof![Just(1.0_f32), Just(1.7_f32)],
        (temperature, top_k, top_p, min_p) in
            (prop_oneof![Just(0.0_f32), 0.1_f32..3.0], 0_usize..5, 0.2_f32..=1.0, prop_oneof![Just(0.0_f32), Just(0.1_f32)]),
    ) {
        let n_vocab = 3000;
        let mut noise = Random::new(seed);
        let logits: Vec<f32> = (0..n_vocab).map(|_| 30.0 * noise.next_unit() as f32 - 15.0).collect();
        let tokens: Vec<Token> = (0..n_allowed).map(|_| (noise.next_u64() % n_vocab as u64) as Token).collect();
        let mask = Mask::of(&tokens, n_vocab);
        let Allowed::Few(tokens) = Allowed::from(mask.clone()) else { panic!("{n_allowed} are few") };
        prop_assert_eq!(tokens.len(), mask.n_allowed());
        prop_assert!(tokens.is_sorted() && tokens.iter().all(|&token| mask.allows(token)));
        let sampling = Sampling { temperature, top_k, top_p, min_p, repetition_penalty: penalty, seed, n_logprobs: 4 };
        let mut samplers = [(); 3].map(|()| Sampler::new(&sampling).unwrap());
        samplers.iter_mut().for_each(|sampler| tokens.iter().step_by(3).for_each(|&token| sampler.accept(token)));
        let [among, whole, masked] = &mut samplers;
        for _ in 0..4 {
            let mut few: Vec<f32> = tokens.iter().map(|&token| logits[token as usize]).collect();
            let want = among.pick_among(&tokens, &mut few).unwrap();
            let got = whole.pick(&mut logits.clone(), Some(&Allowed::Few(tokens.clone()))).unwrap();
            prop_assert_eq!(&got, &want);
            prop_assert_eq!(got.logprob.to_bits(), want.logprob.to_bits());
            // The long way sums in another order.
            let many = masked.pick(&mut logits.clone(), Some(&Allowed::Many(mask.clone()))).unwrap();
            prop_assert_eq!(many.token, want.token);
            prop_assert!((many.logprob - want.logprob).abs() < 1e-4);
            prop_assert_eq!(many.top.len(), want.top.len());
        }
    }
}

#[test]
fn a_single_token_is_certain_and_needs_no_logit() {
    let mut sampler = sampler(|s| {
        s.temperature = 1.0;
        s.n_logprobs = 3;
    });
    let pick = sampler.pick_among(&[5], &mut []).unwrap();
    assert_eq!((pick.token, pick.logprob.to_bits(), pick.top), (5, 0, vec![(5, 0.0)]));
}

#[test]
fn text_under_a_schema_is_compact_json_that_fits() {
    let grammars = toy();
    let person = json!({"type": "object", "additionalProperties": false, "required": ["name", "user", "tags"],
        "properties": {"name": {"type": "string", "maxLength": 12}, "user": {"type": "boolean"},
            "tags": {"type": "array", "maxItems": 3, "items": {"enum": ["a", "name"]}}}});
    for (schema, keys) in [
        (person, vec!["name", "user", "tags"]),
        (json!({"type": "integer", "minimum": 0, "maximum": 999}), vec![]),
        (
            json!({"$ref": "#/$defs/x", "$defs": {"x": {"type": "object", "properties": {"name": {"const": 1}},
            "required": ["name"], "additionalProperties": false}}}),
            vec!["name"],
        ),
    ] {
        let grammar = Grammar::JsonSchema(schema);
        for seed in 0..40 {
            let (tokens, stopped) = generate(&grammars, &grammar, seed, 400);
            let text = text_of(&tokens);
            assert!(stopped, "{text}");
            let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
            assert_eq!(value.as_object().map_or(vec![], |o| o.keys().map(String::as_str).collect()), keys);
            let bare = |part: &str| part.replace(": ", ":").replace(", ", ",");
            assert!(
                text.split('"').step_by(2).all(|part| !bare(part).contains(|c: char| c.is_ascii_whitespace())),
                "white space: {text}"
            );
        }
    }
}

#[test]
fn schemas_are_prepared() {
    let check = |schema: serde_json::Value, want: serde_json::Value| {
        let mut got = schema::prepare(&schema);
        let options = got.as_object_mut().unwrap().remove("x-guidance").unwrap();
        assert_eq!(options["whitespace_flexible"], false);
        assert_eq!(got, want, "{schema}");
    };
    let max = 9_007_199_254_740_991_i64;
    let bounded = json!({"type": "integer", "minimum": -max, "maximum": max});
    check(json!(true), json!({}));
    check(json!({"type": "integer"}), bounded.clone());
    check(json!({"type": "integer", "minimum": 3}), json!({"type": "integer", "minimum": 3}));
    check(json!({"type": "integer", "enum": [1]}), json!({"type": "integer", "enum": [1]}));
    check(json!({"const": {"type": "integer"}}), json!({"const": {"type": "integer"}}));
    check(
        json!({"properties": {"const": {"type": "integer"}, "type": {"items": {"type": "integer"}}}}),
        json!({"properties": {"const": bounded, "type": {"items": bounded}}}),
    );
    check(json!({"anyOf": [{"type": "integer"}]}), json!({"anyOf": [bounded]}));
}

#[test]
fn an_integer_comes_to_an_end() {
    let grammars = toy();
    let mut constraint = grammars.compile(&Grammar::JsonSchema(json!({"type": "integer"}))).unwrap();
    let nine = FIRST_BYTE + u32::from(b'9');
    let n_digits = (0..40).take_while(|_| constraint.mask().unwrap().allows(nine) && constraint.accept(nine).is_ok());
    assert_eq!(n_digits.count(), 15);
}

#[test]
fn forced_tokens_are_the_tokenizer_s_own() {
    let grammars = toy();
    let spell = |tokens: &[Token]| tokens.iter().map(|&t| text_of(&[t])).collect::<Vec<_>>();
    let check = |grammar: Grammar, want: &[&str], stopped: bool| {
        let mut constraint = grammars.compile(&grammar).unwrap();
        assert_eq!(spell(&constraint.forced().unwrap()), want, "{grammar:?}");
        assert_eq!(constraint.is_stopped(), stopped, "{grammar:?}");
        assert_eq!(constraint.is_complete(), stopped, "{grammar:?}");
    };
    check(Grammar::Lark("start: \"{\\\"name\\\":\" (\"1\" | \"2\")".into()), &["{\"", "name", "\":"], false);
    // A quotation mark may follow: `":` could become `":"`, so it is left to the model.
    check(Grammar::Lark("start: \"{\\\"name\\\":\" (\"1\" | \"\\\"\")".into()), &["{\"", "name"], false);
    check(Grammar::Regex("true".into()), &["true"], true);
    check(Grammar::Regex("[ab]".into()), &[], false);
}

#[test]
fn a_complete_text_that_could_go_on_may_end() {
    let grammars = toy();
    let mut constraint = grammars.compile(&Grammar::Regex("a+".into())).unwrap();
    assert!(!constraint.mask().unwrap().allows(END));
    assert!(!constraint.is_complete());
    let a = FIRST_BYTE + u32::from(b'a');
    constraint.accept(a).unwrap();
    let mask = constraint.mask().unwrap();
    assert!(mask.allows(END) && mask.allows(a) && !mask.allows(CONTROL) && !mask.allows(a + 1));
    assert!((n_toy()..n_toy() + 64).all(|id| !mask.allows(id as Token)), "padding");
    assert!(constraint.is_complete() && !constraint.is_stopped());
    constraint.accept(END).unwrap();
    assert!(constraint.is_complete() && constraint.is_stopped());
    assert!(constraint.mask().unwrap().allows(END));
}

#[test]
fn a_token_that_does_not_fit_is_an_error_and_spoils_nothing() {
    let grammars = toy();
    let grammar = Grammar::Regex("ab".into());
    let mut constraint = grammars.compile(&Grammar::Regex("[ab]c".into())).unwrap();
    let error = constraint.accept(FIRST_BYTE).unwrap_err();
    assert!(matches!(&error, Error::Constraint { n_tokens: 0, why } if !why.is_empty()), "{error}");
    assert!(constraint.is_stopped() && !constraint.is_complete());
    assert!(constraint.mask().is_err());
    for _ in 0..2 {
        assert_eq!(text_of(&grammars.compile(&grammar).unwrap().forced().unwrap()), "ab");
    }
}

#[test]
fn grammars_that_do_not_compile_say_why() {
    let grammars = toy();
    let check = |grammar: Grammar, want: &str| {
        let error = grammars.compile(&grammar).err().unwrap_or_else(|| panic!("{grammar:?} compiles")).to_string();
        assert!(error.contains(want) && !error.contains('\n'), "{error}\nwant: {want}");
    };
    check(Grammar::JsonSchema(json!({"type": "strin"})), "JSON schema does not compile: ");
    check(Grammar::JsonSchema(json!({"type": "array", "uniqueItems": true})), "uniqueItems");
    check(Grammar::JsonSchema(json!({"enum": []})), "JSON schema does not compile: ");
    check(Grammar::JsonSchema(json!(false)), "JSON schema does not compile: ");
    check(Grammar::JsonSchema(json!(7)), "JSON schema does not compile: ");
    check(Grammar::Lark("start: other".into()), "Lark grammar does not compile: ");
    check(Grammar::Lark(String::new()), "Lark grammar does not compile: ");
    check(Grammar::Regex("(".into()), "regular expression does not compile: ");
    check(Grammar::Regex("a".repeat(2 << 20)), "regular expression is too large: its length in bytes is 2097152");
    let deep = (0..2000).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner}));
    check(Grammar::JsonSchema(deep.clone()), "JSON schema is too large: its nesting is 2002, the limit is 100");
    // A value this deep would overflow the stack when dropped in the usual way.
    std::mem::forget(deep);
}

#[test]
fn hostile_grammars_end_soon() {
    let grammars = toy();
    let options = |n: usize| (0..n).map(|i| json!({"const": format!("{i:x}")})).collect::<Vec<_>>();
    let any_of = |n: usize| json!({"anyOf": options(n)});
    let wide: serde_json::Map<_, _> = (0..3000).map(|i| (format!("p{i}"), any_of(20))).collect();
    for (name, grammar) in [
        ("nested repeats", Grammar::Regex("((a{1,900}){1,900}){1,900}".into())),
        ("nested stars", Grammar::Regex("(((a*)*)*)*b".into())),
        ("subset blow-up", Grammar::Regex("(a|b)*a(a|b){40}".into())),
        ("many alternatives", Grammar::Regex((0..20_000).map(|i| format!("{i:x}|")).collect::<String>() + "z")),
        ("parentheses", Grammar::Lark(format!("start: {}\"a\"{}", "(".repeat(5000), ")".repeat(5000)))),
        ("regex parentheses", Grammar::Regex(format!("{}a{}", "(".repeat(5000), ")".repeat(5000)))),
        ("not of not", Grammar::Lark("start: /(.|\n)*/ & ~(/a*b*/ & ~(/.*c.*/ & ~/d{1,500}/))".into())),
        ("ambiguity", Grammar::Lark("start: x\nx: x x | x x x | \"a\" | \"\"".into())),
        ("left recursion", Grammar::Lark("start: start start | start | \"a\"".into())),
        ("huge count", Grammar::Lark("start: \"a\"{2000000000}".into())),
        ("long string", Grammar::JsonSchema(json!({"type": "string", "minLength": 1_000_000_000}))),
        (
            "long array",
            Grammar::JsonSchema(json!({"type": "array", "items": {"type": "string"}, "minItems": 100_000_000})),
        ),
        ("product", Grammar::JsonSchema(json!({"allOf": (0..30).map(|_| any_of(30)).collect::<Vec<_>>()}))),
        ("wide object", Grammar::JsonSchema(json!({"type": "object", "properties": wide}))),
        ("self reference", Grammar::JsonSchema(json!({"$ref": "#"}))),
        ("patterns", Grammar::JsonSchema(json!({"type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}))),
        (
            "multiple of",
            Grammar::JsonSchema(json!({"type": "number", "multipleOf": 1e-9, "minimum": 0, "maximum": 1e15})),
        ),
    ] {
        let started = Instant::now();
        let ended = match grammars.compile(&grammar) {
            Err(error) => error.to_string(),
            Ok(mut constraint) => {
                let mut noise = Random::new(1);
                let mut follow = || -> Result<(), Error> {
                    constraint.forced()?;
                    for _ in 0..60 {
                        let mask = constraint.mask()?;
                        let allowed: Vec<Token> =
                            (0..n_toy() as Token).filter(|&t| mask.allows(t) && t != END).collect();
                        let Some(&token) = allowed.get(noise.next_u64() as usize % allowed.len().max(1)) else { break };
                        constraint.accept(token)?;
                        constraint.forced()?;
                    }
                    Ok(())
                };
                follow().err().map_or_else(|| "followed".into(), |error| error.to_string())
            }
        };
        let taken = started.elapsed();
        assert!(taken < Duration::from_secs(10), "{name} took {taken:?}, {ended}");
    }
}

#[test]
fn the_cache_of_compiled_grammars_is_bounded() {
    let grammars = toy();
    for i in 0..150 {
        let text = format!("x{i}");
        for _ in 0..2 {
            let mut constraint = grammars.compile(&Grammar::Regex(text.clone())).unwrap();
            assert_eq!(text_of(&constraint.forced().unwrap()), text);
        }
    }
    assert!(grammars.n_kept() <= 64);
}
