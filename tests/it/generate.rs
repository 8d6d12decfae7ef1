//! `partita generate` and `partita bench model` from outside, on a small seeded model.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use partita::model::tiny::{self, TinySpec};
use serde_json::Value;
use tempfile::TempDir;

struct Desk {
    home: TempDir,
    model: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let model = home.path().join("tiny.gguf");
        tiny::write(&model, &TinySpec { n_ctx: 1 << 20, ..TinySpec::default() }).unwrap();
        Self { home, model }
    }

    fn start(&self, args: &[&str], stdin: &str) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_partita"));
        command.args(args).env_clear().env("PARTITA_HOME", self.home.path()).env("PARTITA_MODEL", &self.model);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that refuses its arguments does not read.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child
    }

    /// Exit code, stdout and stderr.
    fn run(&self, args: &[&str], stdin: &str) -> (i32, String, String) {
        end(self.start(args, stdin))
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A grammar that the model follows for a very long time.
    fn endless(&self) -> String {
        self.file("endless.lark", "start: line{5000}\nline: /[a-z ]{60}/ \"\\n\"\n")
    }
}

fn end(child: Child) -> (i32, String, String) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

#[test]
fn the_same_text_comes_from_an_argument_and_from_stdin() {
    let desk = Desk::new();
    let base = ["generate", "--max-tokens", "12"];
    let (code, text, stderr) = desk.run(&[&base[..], &["the rain"]].concat(), "");
    assert_eq!((code, stderr.as_str()), (0, ""), "not a terminal: nothing but the text");
    assert!(!text.trim().is_empty() && text.ends_with('\n'));
    assert_eq!(desk.run(&base, "the rain").1, text);
    assert_eq!(desk.run(&[&base[..], &["-"]].concat(), "the rain").1, text);
    assert_ne!(desk.run(&[&base[..], &["--raw"]].concat(), "the rain").1, text, "without the template");
    let chat = "<|im_start|>user\nthe rain<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(desk.run(&[&base[..], &["--raw", chat]].concat(), "").1, text, "with the template spelled out");
    assert_ne!(desk.run(&[&base[..], &["--system", "be brief", "the rain"]].concat(), "").1, text);
}

#[test]
fn json_tells_text_end_and_cost() {
    let desk = Desk::new();
    let args = ["generate", "--json", "--max-tokens", "5", "--logprobs", "2", "--temperature", "0.7", "--seed", "3"];
    let (code, stdout, _) = desk.run(&[&args[..], &["hello"]].concat(), "");
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(code, 0);
    assert_eq!(object.as_object().unwrap().keys().collect::<Vec<_>>(), ["text", "finish", "usage", "tokens"]);
    assert_eq!(object["finish"], "length");
    assert_eq!((&object["usage"]["decoded_tokens"], &object["usage"]["cached_tokens"]), (&5.into(), &0.into()));
    let tokens = object["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 5);
    assert!(tokens.iter().all(|token| token["logprob"].as_f64().unwrap() <= 0.0));
    assert!(tokens.iter().all(|token| token["top"].as_array().unwrap().len() == 2));
    let again: Value = serde_json::from_str(&desk.run(&[&args[..], &["hello"]].concat(), "").1).unwrap();
    assert_eq!((&again["text"], &again["tokens"]), (&object["text"], &object["tokens"]), "the seed decides");
}

#[test]
fn grammars_and_stop_strings_shape_the_text() {
    let desk = Desk::new();
    let schema =
        r#"{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"],"additionalProperties":false}"#;
    for schema in [schema.to_owned(), desk.file("schema.json", schema)] {
        let (code, text, stderr) = desk.run(&["generate", "--schema", &schema, "well?"], "");
        assert_eq!(code, 0, "{stderr}");
        assert!(["{\"ok\": true}\n", "{\"ok\": false}\n"].contains(&text.as_str()), "{text}");
    }
    let grammar = desk.file("list.lark", "start: \"one two three\" /[ab]/");
    let (_, text, _) = desk.run(&["generate", "--grammar", &grammar, "count"], "");
    assert!(["one two threea\n", "one two threeb\n"].contains(&text.as_str()), "{text}");
    let args = ["generate", "--json", "--grammar", &grammar, "--stop", "never", "--stop", " three", "count"];
    let object: Value = serde_json::from_str(&desk.run(&args, "").1).unwrap();
    assert_eq!((&object["text"], &object["finish"]), (&"one two".into(), &"stop_string".into()));
}

#[test]
fn what_cannot_be_generated_is_refused_with_a_hint() {
    let desk = Desk::new();
    let broken = desk.file("broken.json", "{");
    let bad_lark = desk.file("bad.lark", "start: nowhere");
    let long = "word ".repeat(1 << 20);
    for (args, stdin, wants) in [
        (&["--temperature=-1", "x"][..], "", &["temperature is -1"][..]),
        (&["--logprobs", "2", "x"], "", &["--json"]),
        (&["--max-tokens", "0", "x"], "", &["--max-tokens"]),
        (&["--schema", &broken, "x"], "", &["the schema is not JSON"]),
        (&["--schema", "nowhere.json", "x"], "", &["nowhere.json"]),
        (
            &["--schema", "{\"type\":\"array\",\"uniqueItems\":true}", "x"],
            "",
            &["JSON schema does not compile", "uniqueItems"],
        ),
        (&["--grammar", &bad_lark, "x"], "", &["Lark grammar does not compile"]),
        (&["--raw"], "", &["the prompt on stdin is empty"]),
        (&[], &long, &["tokens, but the context holds 1048576"]),
    ] {
        let (code, stdout, stderr) = desk.run(&[&["generate"], args].concat(), stdin);
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}: {stderr}");
        for want in wants.iter().chain(&["error: ", "\nhint: "]) {
            assert!(stderr.contains(want), "{args:?}: {want:?} is not in {stderr:?}");
        }
    }
    let (code, _, stderr) = desk.run(&["generate", "--model", &broken, "x"], "");
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("broken.json"), "{stderr}");
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let desk = Desk::new();
    let mut child = desk.start(&["generate", "--grammar", &desk.endless(), "--max-tokens", "1000000", "go"], "");
    let mut first = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    drop(child.stdout.take());
    let (code, _, stderr) = end(child);
    assert_eq!((code, stderr.as_str()), (0, ""));
}

#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_was_generated() {
    let desk = Desk::new();
    let endless = desk.endless();
    for json in [false, true] {
        let mut args = vec!["generate", "--grammar", &endless, "--max-tokens", "1000000", "go"];
        args.extend(json.then_some("--json"));
        let mut child = desk.start(&args, "");
        let mut text = String::new();
        if json {
            std::thread::sleep(std::time::Duration::from_millis(1500));
        } else {
            let mut first = [0; 8];
            child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
            text += std::str::from_utf8(&first).unwrap();
        }
        let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let (code, rest, stderr) = end(child);
        text += &rest;
        assert_eq!(code, 130, "{stderr}");
        assert!(stderr.contains("interrupted after "), "{stderr}");
        if json {
            let object: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(object["finish"], "cancelled");
            assert!(!object["text"].as_str().unwrap().is_empty());
        }
    }
}

#[test]
fn packed_weights_are_kept_beside_the_model() {
    let desk = Desk::new();
    let packed = desk.home.path().join("tiny.gguf.packed");
    let args = ["generate", "--max-tokens", "8", "hello"];
    let (code, want, stderr) = desk.run(&[&args[..], &["--no-packed-file"]].concat(), "");
    assert_eq!((code, stderr.as_str(), packed.exists()), (0, "", false));
    // Several that start at once, and one that finds what they left.
    let children: Vec<Child> = (0..4).map(|_| desk.start(&args, "")).collect();
    for child in children {
        assert_eq!(end(child), (0, want.clone(), String::new()));
    }
    let names = || {
        let entries = std::fs::read_dir(desk.home.path()).unwrap().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.retain(|name| name.contains(".packed"));
        names
    };
    assert_eq!(names(), ["tiny.gguf.packed"]);
    let whole = std::fs::read(&packed).unwrap();
    assert_eq!(desk.run(&args, ""), (0, want.clone(), String::new()));
    std::fs::write(&packed, &whole[..whole.len() / 2]).unwrap();
    let (code, text, stderr) = desk.run(&args, "");
    assert_eq!((code, &text), (0, &want));
    assert!(stderr.starts_with("warning: ") && stderr.contains("is ignored: it has "), "{stderr}");
    assert!(std::fs::read(&packed).unwrap() == whole, "it was written anew");
    assert_eq!(desk.run(&args, ""), (0, want, String::new()));
}

#[test]
fn bench_perplexity_reports_one_figure() {
    let desk = Desk::new();
    let model = desk.model.display().to_string();
    let text = desk.file("text.txt", &"The rain in the theatre rang on and on.\n".repeat(20));
    let args = ["bench", "perplexity", "--model", &model, "--text", &text, "--ctx", "64"];
    let (code, stdout, stderr) = desk.run(&[&args[..], &["--json"]].concat(), "");
    assert_eq!((code, stderr.as_str()), (0, ""));
    let object: Value = serde_json::from_str(&stdout).unwrap();
    let n_chunks = object["n_chunks"].as_u64().unwrap();
    assert_eq!(object["n_scored"], n_chunks * 31);
    assert!(n_chunks > 3 && object["perplexity"].as_f64().unwrap() > 1.0, "{stdout}");
    let (code, stdout, _) = desk.run(&[&args[..], &["--chunks", "2", "--precise"]].concat(), "");
    assert!(code == 0 && stdout.starts_with("perplexity  ") && stdout.contains("2 of 64 tokens; 62"), "{stdout}");
    let short = desk.file("short.txt", "The rain.\n");
    let (code, _, stderr) = desk.run(&["bench", "perplexity", "--model", &model, "--text", &short], "");
    assert!(code == 2 && stderr.contains("expected 512 or more"), "{stderr}");
    let (code, _, stderr) = desk.run(&["bench", "perplexity", "--model", &model, "--text", "absent.txt"], "");
    assert!(code == 2 && stderr.contains("absent.txt"), "{stderr}");
}

#[test]
fn bench_model_reports_rows() {
    let desk = Desk::new();
    let model = desk.model.display().to_string();
    let args = ["bench", "model", "--model", &model, "--prompt", "33", "--generate", "4", "--samples", "2"];
    let (code, stdout, stderr) = desk.run(&[&args[..], &["--batch", "1,5", "--peer", "candle", "--json"]].concat(), "");
    assert_eq!((code, stderr.as_str()), (0, ""));
    let object: Value = serde_json::from_str(&stdout).unwrap();
    let rows = object["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| format!("{} {}", row["engine"], row["test"]).replace('"', "")).collect();
    let ours = ["pp33", "tg4", "tg4@b5/d0", "tg4@b1", "tg4@b5"].map(|test| format!("partita {test}"));
    let wants = [&ours[..], &["candle pp33".into(), "candle tg4".into()]].concat();
    assert_eq!(names, wants);
    assert!(rows.iter().all(|row| row["tokens_per_s"].as_f64().unwrap() > 0.0));
    assert!(rows.iter().all(|row| row["samples"].as_array().unwrap().len() == 2));
    let (code, table, _) = desk.run(&args, "");
    assert!(code == 0 && table.starts_with("TEST") && table.contains("tg4@b16"), "{table}");
    let some = ["--batch", "2", "--depth", "40,70", "--prefix", "own,shared", "--csv"];
    let (code, csv, _) = desk.run(&[&args[..], &some].concat(), "");
    let starts: Vec<String> = csv.lines().map(|line| line.split(',').take(5).collect::<Vec<_>>().join(",")).collect();
    let wants = ["pp33,partita,1,0,", "tg4@b2/d40/own,partita,2,40,own", "tg4@b2/d40,partita,2,40,shared"];
    assert_eq!((code, starts[0].as_str()), (0, "test,engine,sequences,depth,prefix"));
    assert_eq!((starts.len(), &starts[1..4]), (6, &wants.map(str::to_owned)[..]), "{csv}");
    let (code, _, stderr) = desk.run(&["bench", "model", "--model", &model, "--samples", "0"], "");
    assert!(code == 2 && stderr.contains("the number of samples is 0"), "{stderr}");
}
