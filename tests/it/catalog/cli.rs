//! `partita models` from outside: what goes to stdout, what to stderr, and the exit codes.

use std::path::Path;
use std::process::{Command, Output};

use partita::catalog::packed_paths;
use serde_json::Value;

use super::model;

fn partita(home: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_partita"));
    command.env_clear().env("PARTITA_HOME", home).env("HOME", home).env("HF_ENDPOINT", "http://127.0.0.1:1");
    let Output { status, stdout, stderr } = command.arg("models").args(args).output().expect("partita starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

#[test]
fn a_model_from_a_folder_goes_through_every_command() {
    let home = tempfile::tempdir().unwrap();
    let manifest = super::manifest("[[source]]\nkind = \"folder\"\npath = \"disk\"\n");
    std::fs::create_dir_all(home.path().join("catalog")).unwrap();
    std::fs::create_dir_all(home.path().join("disk")).unwrap();
    std::fs::write(home.path().join("catalog/m.toml"), toml::to_string(&manifest).unwrap()).unwrap();
    std::fs::write(home.path().join("disk/m.gguf"), model()).unwrap();
    let path = home.path().join("models/m/m.gguf").display().to_string();
    let here = |home: &Path| {
        let (_, stdout, _) = partita(home, &["list", "--json"]);
        let listed: Value = serde_json::from_str(&stdout).unwrap();
        listed.as_array().unwrap().iter().find(|model| model["name"] == "m").unwrap()["path"].clone()
    };
    assert_eq!(here(home.path()), Value::Null);
    let (code, stdout, stderr) = partita(home.path(), &["pull", "m"]);
    assert_eq!((code, stdout), (0, format!("{path}\n")), "{stderr}");
    assert!(stderr.starts_with("fetching from folder disk\nfetching: "), "{stderr}");
    assert_eq!(here(home.path()), path.as_str());
    // The model's packed weights, beside it or not: they go with it, and are no part of it.
    let packed = packed_paths(Path::new(&path), home.path());
    for packed in &packed {
        std::fs::create_dir_all(packed.parent().unwrap()).unwrap();
        std::fs::write(packed, "x").unwrap();
    }
    let (code, stdout, _) = partita(home.path(), &["verify", "m"]);
    assert!(code == 0 && stdout.ends_with(" (as stated)\n"), "{stdout}");
    let (code, stdout, _) = partita(home.path(), &["show", "m"]);
    assert!(
        code == 0 && stdout.contains("general.architecture  llama\n") && stdout.contains("1 tensors: 1 F32"),
        "{stdout}"
    );
    let (code, stdout, _) = partita(home.path(), &["show", "--json", &path]);
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &shown["manifest"], &shown["gguf"]["tensors"]["F32"]), (0, &Value::Null, &Value::from(1)));
    let (code, stdout, _) = partita(home.path(), &["rm", "m"]);
    let packed = packed.map(|packed| packed.display().to_string());
    let freed = (model().len() + 2) as f64 / 1e3;
    assert_eq!((code, stdout), (0, format!("{path}\n{}\n{}\nfreed {freed:.1} kB\n", packed[0], packed[1])));
    assert_eq!(packed.map(|packed| Path::new(&packed).exists()), [false; 2]);
    assert_eq!(here(home.path()), Value::Null);
}

#[test]
fn what_cannot_be_had_is_said_with_a_way_out() {
    let home = tempfile::tempdir().unwrap();
    for (args, wants) in [
        (
            &["pull", "qwen3"][..],
            &["error: there is no model or file called qwen3; the nearest names are qwen3-", "models list"][..],
        ),
        (
            &["verify", "qwen3-4b"],
            &["error: model qwen3-4b is not on this machine\nhint: fetch it: partita models pull qwen3-4b\n"],
        ),
        (&["rm", "qwen3-4b"], &["error: model qwen3-4b is not on this machine\n"]),
        (&["pull", "qwen3-4b"], &["error: http://127.0.0.1:1 cannot be reached: ", "hint: any GGUF file"]),
        (
            &["pull", "--offline"],
            &["error: model qwen2.5-coder-1.5b is not on this machine, and the network may not be used"],
        ),
    ] {
        let (code, stdout, stderr) = partita(home.path(), args);
        assert_eq!((code, stdout.as_str()), (5, ""), "{args:?}: {stderr}");
        wants.iter().for_each(|want| assert!(stderr.contains(want), "{args:?}: {want}\n{stderr}"));
    }
}
