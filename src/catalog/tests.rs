//! Manifests, names and settings: everything that needs no source.

use super::*;

const HEAD: &str = "name = \"m\"\nfamily = \"llama\"\nparameters = \"1B\"\nquantization = \"Q4_K_M\"\n\
                    licence = \"MIT\"\ncontext = 512\nfile = \"m.gguf\"\n";
const HUB: &str = "[[source]]\nkind = \"hub\"\nrepo = \"o/m\"\n";

#[test]
fn built_in_manifests_are_right() {
    let catalog = Catalog::builtin();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let n_files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(catalog.manifests().len(), n_files, "a file in models/ is missing from the table");
    let mut names: Vec<&String> = catalog.manifests().iter().flat_map(|m| m.aliases.iter().chain([&m.name])).collect();
    names.sort();
    let n_names = names.len();
    names.dedup();
    assert_eq!(names.len(), n_names, "two models answer to one name");
    for manifest in catalog.manifests() {
        assert!(manifest.bytes.is_some() && manifest.sha256.is_some(), "{}", manifest.name);
    }
    assert_eq!(catalog.default_model().name, "qwen2.5-coder-1.5b");
    assert_eq!(catalog.find("Qwen2.5-Coder").unwrap().name, "qwen2.5-coder-1.5b");
    assert_eq!(catalog.manifests().iter().filter(|m| m.verified).count(), 3);
}

#[test]
fn a_bad_manifest_says_what_was_expected() {
    let sha = |text: &str| format!("{HEAD}sha256 = \"{text}\"\n{HUB}");
    let packages = |name: &str| format!("{HEAD}[[source]]\nkind = \"packages\"\nnames = [{name}]\nmember = \"*\"\n");
    for (text, want) in [
        (format!("{HEAD}{HUB}"), ""),
        (HEAD.replace("\"m\"", "\"../m\"") + HUB, "found `../m`, expected a name of a-z, 0-9, `.`, `-` and `_`"),
        (HEAD.replace("m.gguf", "../m.gguf") + HUB, "found `../m.gguf`, expected a file name"),
        (HEAD.replace("m.gguf", "a/m.gguf") + HUB, "found `a/m.gguf`, expected a file name"),
        (sha("abc"), "found `abc`, expected a sha256 of 64 lower-case hex digits"),
        (format!("{HEAD}source = []"), "found `no source`, expected at least one [[source]]"),
        (format!("{HEAD}{HUB}revision = \"main\""), "found `main`, expected a commit of 40 lower-case hex digits"),
        (format!("{HEAD}{HUB}file = \"/m.gguf\""), "found `/m.gguf`, expected a path inside the repository"),
        (HEAD.to_owned() + &HUB.replace("o/m", "../m"), "found `../m`, expected a repository as owner/name"),
        (packages(""), "found `no name`, expected at least one package"),
        (packages("\"--index-url=x\""), "found `--index-url=x`, expected a package as name or name==version"),
        (packages("\"a\", \"b==1.2\""), ""),
        (format!("{HEAD}colour = 1\n{HUB}"), "unknown field `colour`"),
    ] {
        let error = Manifest::parse("m.toml", &text).err().map(|e| e.to_string()).unwrap_or_default();
        let want = if want.is_empty() { String::new() } else { format!("manifest m.toml: {want}") };
        assert!(error == want || (!want.is_empty() && error.starts_with(&want)), "{error}\n{want}");
    }
}

#[test]
fn names_are_found_and_suggested() {
    let home = tempfile::tempdir().unwrap();
    let settings = Settings::new(home.path().to_owned(), true, |_| None);
    let message = |name: &str| resolve(name, &settings).unwrap_err().to_string();
    for (name, want) in [
        ("smollm2-135m", "model smollm2-135m is not on this machine"),
        ("SMOLLM2-135M-instruct", "model smollm2-135m is not on this machine"),
        ("xyzzy.gguf", "there is no model or file called xyzzy.gguf"),
    ] {
        assert_eq!(message(name), want);
    }
    let near = message("qwen3-06b");
    assert!(
        near.starts_with("there is no model or file called qwen3-06b; the nearest names are qwen3-0.6b, "),
        "{near}"
    );
    let file = home.path().join("any.gguf");
    std::fs::write(&file, "GGUF").unwrap();
    let located = resolve(file.to_str().unwrap(), &settings).unwrap();
    assert_eq!(located, Located { path: file, manifest: None });
}

#[test]
fn a_manifest_in_the_data_folder_wins() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("catalog")).unwrap();
    let path = home.path().join("catalog").join("mine.toml");
    std::fs::write(&path, HEAD.replace("\"m\"", "\"smollm2-135m\"") + HUB).unwrap();
    let catalog = Catalog::load(home.path()).unwrap();
    assert_eq!(catalog.find("smollm2-135m").unwrap().file, "m.gguf");
    assert_eq!(catalog.manifests().len(), Catalog::builtin().manifests().len());
    std::fs::write(&path, "name = 3").unwrap();
    let error = Catalog::load(home.path()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("manifest {}: ", path.display())), "{error}");
}

#[test]
fn the_environment_of_the_hubs_tools_is_honoured() {
    let settings = |vars: &'static [(&str, &str)]| {
        let find = move |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::new("/data".into(), false, find)
    };
    let cache = |vars| settings(vars).hub.cache.display().to_string();
    for (vars, want) in [
        (&[("HOME", "/u")][..], "/u/.cache/huggingface/hub"),
        (&[("HOME", "/u"), ("XDG_CACHE_HOME", "/c")], "/c/huggingface/hub"),
        (&[("HOME", "/u"), ("HF_HOME", "/h")], "/h/hub"),
        (&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/o")], "/o"),
        (&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/b"), ("HUGGINGFACE_HUB_CACHE", "/o")], "/b"),
        (&[("HF_HOME", ""), ("HOME", "/u")], "/u/.cache/huggingface/hub"),
    ] {
        assert_eq!(cache(vars), want);
    }
    let hub = settings(&[("HF_ENDPOINT", "http://m"), ("HF_TOKEN", "t"), ("HF_HUB_OFFLINE", "YES")]).hub;
    assert_eq!((hub.endpoint.as_str(), hub.token.as_deref(), hub.offline), ("http://m", Some("t"), true));
    let hub = settings(&[("HF_HUB_OFFLINE", "0")]).hub;
    assert_eq!((hub.endpoint.as_str(), hub.token, hub.offline), ("https://huggingface.co", None, false));
    assert_eq!(settings(&[("PARTITA_PIP", "/p")]).pip, Some("/p".into()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named_before_and_while_writing() {
    let folder = tempfile::tempdir().unwrap();
    let error = disk::check_space(folder.path(), u64::MAX).unwrap_err();
    assert!(matches!(error, Error::DiskFull { needed: u64::MAX, available, .. } if available > 0), "{error}");
    let path = folder.path().join("m.part");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let error = disk::Part::open(&path).unwrap().write(b"x").unwrap_err();
    assert!(matches!(error, Error::DiskFull { needed: 1, .. }), "{error}");
}
