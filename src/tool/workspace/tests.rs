//! Tables over one workspace: paths that must not lead out, policy, applying and applying again.

use std::collections::BTreeSet;
use std::fs;

use super::{Change, Error, Policy, Verdict, Workspace, path};

struct Fixture {
    _outside: tempfile::TempDir,
    folder: tempfile::TempDir,
    workspace: Workspace,
}

/// Inputs `a.txt`, `data/b.csv`, `data/c.csv`; links in, out, in a circle and to nowhere; a secret outside.
fn fixture(policy: Policy) -> Fixture {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.txt"), "secret").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (path, text) in [("a.txt", "alpha"), ("data/b.csv", "x\n1\n"), ("data/c.csv", "x\n2\n"), (".hidden", "h")] {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), text).unwrap();
    }
    fs::create_dir(root.join(".git")).unwrap();
    fs::write(root.join(".git/config"), "token").unwrap();
    #[cfg(unix)]
    for (link, target) in [
        ("out", outside.path().to_str().unwrap()),
        ("secret", outside.path().join("secret.txt").to_str().unwrap()),
        ("up", "../.."),
        ("in", "data"),
        ("alias.txt", "a.txt"),
        ("nowhere", "gone.txt"),
        ("data/loop", "../data"),
    ] {
        std::os::unix::fs::symlink(target, root.join(link)).unwrap();
    }
    let workspace = Workspace::open(root, policy).unwrap();
    Fixture { _outside: outside, folder, workspace }
}

fn set(paths: &[&str]) -> BTreeSet<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

fn write(path: &str, content: &str) -> Change {
    Change::Write { path: path.into(), content: content.into() }
}

fn rename(from: &str, to: &str) -> Change {
    Change::Move { from: from.into(), to: to.into() }
}

fn copy(from: &str, to: &str) -> Change {
    Change::Copy { from: from.into(), to: to.into() }
}

fn make_folder(path: &str) -> Change {
    Change::MakeFolder { path: path.into() }
}

/// The error's kind and text, or the value.
fn shown<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(Error::Denied(text)) => format!("denied: {text}"),
        Err(error) => error.to_string(),
    }
}

fn check<T: std::fmt::Debug>(what: &str, result: Result<T, Error>, want: &str) {
    let got = shown(result);
    let fits = if want.is_empty() { false } else { got.contains(want) };
    assert!(fits, "{what}: got {got:?}, want {want:?}");
}

#[test]
fn paths_are_normalized() {
    let fixture = fixture(Policy::default());
    let root = fixture.workspace.root().to_str().unwrap().to_owned();
    for (path, want) in [
        ("./a.txt", "Ok: a.txt"),
        ("data//b.csv", "Ok: data/b.csv"),
        ("data/", "Ok: data"),
        ("data/../a.txt", "Ok: a.txt"),
        (".", "Ok: "),
        (&format!("{root}/data/b.csv"), "Ok: data/b.csv"),
        (&root, "Ok: "),
        (&format!("{root}x/b"), "is outside"),
        ("..", "is outside"),
        ("data/../../etc", "is outside"),
        ("/etc/passwd", "is outside"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        (".git/config", "belongs to git"),
        ("data/.GIT/x", "belongs to git"),
    ] {
        let got = fixture.workspace.normalize(path).map(|path| format!("Ok: {path}")).unwrap_or_else(|e| e.to_string());
        assert!(got == want || (!want.starts_with("Ok") && got.contains(want)), "{path:?}: {got}");
    }
}

#[cfg(unix)]
#[test]
fn nothing_leads_out() {
    let fixture = fixture(Policy { may_replace: set(&[""]), yes: true, ..Policy::default() });
    let workspace = &fixture.workspace;
    for path in ["out/secret.txt", "secret", "up/x", "../x", "/etc/passwd", "data/../../x", "in/../../x"] {
        check(path, workspace.read_text(path), "denied: ");
        check(path, workspace.check(&write(path, "x")), "denied: ");
        check(path, workspace.apply(&write(path, "x")), "denied: ");
        check(path, workspace.check(&copy(path, "new.txt")), "denied: ");
        check(path, workspace.apply(&copy("a.txt", path)), "denied: ");
        check(path, workspace.apply(&rename("a.txt", path)), "denied: ");
        check(path, workspace.apply(&make_folder(path)), "denied: ");
        assert!(!workspace.exists(path), "{path}");
    }
    check("folder", workspace.list("out", None), "denied: ");
    check("dangling", workspace.apply(&write("nowhere", "x")), "leads nowhere");
    assert_eq!(fs::read_to_string(fixture._outside.path().join("secret.txt")).unwrap(), "secret");
    assert_eq!(fs::read_dir(fixture._outside.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_link_swapped_in_does_not_lead_out() {
    let fixture = fixture(Policy::default());
    let (workspace, root) = (&fixture.workspace, fixture.folder.path());
    let change = write("new/a.txt", "mine");
    assert_eq!(workspace.check(&change).unwrap(), Verdict::Allow);
    std::os::unix::fs::symlink(fixture._outside.path(), root.join("new")).unwrap();
    check("write", workspace.apply(&change), "denied: ");
    check("read", workspace.read_text("new/secret.txt"), "denied: ");
    fs::remove_file(root.join("new")).unwrap();
    assert_eq!(workspace.apply(&change).unwrap().bytes, 4);
    assert_eq!(fs::read_dir(fixture._outside.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_link_inside_is_the_file_that_it_points_to() {
    let fixture = fixture(Policy::default());
    let workspace = &fixture.workspace;
    assert_eq!(workspace.read_text("in/b.csv").unwrap(), "x\n1\n");
    check("input by another name", workspace.check(&write("in/b.csv", "y")), "data/b.csv is an input file");
    check("input by another name", workspace.check(&write("alias.txt", "y")), "a.txt is an input file");
    workspace.apply(&write("in/new.csv", "z")).unwrap();
    assert_eq!(workspace.policy().created, set(&["data/new.csv"]));
    check("own by another name", workspace.check(&write("data/new.csv", "y")), "Allow");
}

#[test]
fn lists() {
    let fixture = fixture(Policy::default());
    for (under, pattern, want) in [
        ("", None, "a.txt alias.txt data data/b.csv data/c.csv data/loop in"),
        ("data", None, "data/b.csv data/c.csv data/loop"),
        ("", Some("*.csv"), "data/b.csv data/c.csv"),
        ("", Some("data/*.csv"), "data/b.csv data/c.csv"),
        ("data", Some("data/b*"), "data/b.csv"),
        ("./data/", Some("./b*"), "data/b.csv"),
        ("", Some("**/c.*"), "data/c.csv"),
        ("", Some("*.{md,txt}"), "a.txt alias.txt"),
        ("", Some("nothing*"), ""),
    ] {
        let entries = fixture.workspace.list(under, pattern).unwrap();
        let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths.join(" "), want, "{under:?} {pattern:?}");
    }
    check("glob", fixture.workspace.list("", Some("a[")), "is not a glob");
    check("file", fixture.workspace.list("a.txt", None), "a.txt is a file; expected a folder");
    check("missing", fixture.workspace.list("dat", None), "did you mean data?");
    let entry = fixture.workspace.metadata("a.txt").unwrap();
    assert!(!entry.is_folder && entry.bytes == 5 && entry.modified_ms > 1_500_000_000_000);
}

#[test]
fn checks() {
    let policy = Policy { may_replace: set(&["a.txt"]), created: set(&["data/c.csv"]), ..Policy::default() };
    let fixture = fixture(policy);
    for (change, want) in [
        (write("new.txt", "x"), "Allow"),
        (write("deep/er/new.txt", "x"), "Allow"),
        (write("data/c.csv", "x"), "Allow"),
        (write("data/b.csv", "x"), "denied: data/b.csv is an input file; write to another name"),
        (write("data/b.csv", "x\n1\n"), "AlreadyDone"),
        (write("a.txt", "x"), "Ask(\"replace a.txt"),
        (write("./a.txt", "alpha"), "AlreadyDone"),
        (write("data", "x"), "data is a folder; expected the name of a file"),
        (write("", "x"), "the workspace is a folder"),
        (write("a.txt/b", "x"), "a part of a.txt/b is a file"),
        (write("new?.txt", "x"), "holds '?'"),
        (write("x\\y.txt", "x"), "with `/` between folders"),
        (write("aux.txt", "x"), "is the name of a device"),
        (write("com3", "x"), "is the name of a device"),
        (write("community.txt", "x"), "Allow"),
        (write("name.", "x"), "ends with a space or a dot"),
        (write(&"n".repeat(256), "x"), "the path has 256 bytes"),
        (write(&"n/".repeat(1500), "x"), "a path may have 2048"),
        (make_folder("new"), "Allow"),
        (make_folder("data"), "AlreadyDone"),
        (make_folder("a.txt"), "a.txt is a file"),
        (rename("a.txt", "z.txt"), "Ask(\"move a.txt"),
        (rename("data/b.csv", "z.csv"), "denied: data/b.csv is an input file; leave it"),
        (rename("data/c.csv", "z.csv"), "Allow"),
        (rename("data", "other"), "denied: data is an input file"),
        (rename("data/c.csv", "a.txt"), "denied: a.txt exists already"),
        (rename("data/c.csv", "data/c.csv"), "the same or inside it"),
        (rename("data", "data/x"), "the same or inside it"),
        (rename("gone.txt", "a.txt"), "AlreadyDone"),
        (rename("b.csv", "z.csv"), "b.csv does not exist; did you mean data/b.csv"),
        (copy("data/b.csv", "z.csv"), "Allow"),
        (copy("data/b.csv", "data/c.csv"), "Allow"),
        (copy("data/c.csv", "data/b.csv"), "denied: data/b.csv is an input file"),
        (copy("data/b.csv", "data/b.csv"), "AlreadyDone"),
        (copy("data", "z"), "data is a folder; only files"),
        (copy("gone", "z"), "gone does not exist"),
    ] {
        check(&format!("{change:?}"), fixture.workspace.check(&change), want);
    }
}

#[test]
fn permission_covers_folders_and_yes_asks_nothing() {
    for (may_replace, yes, want) in [
        (&["data"][..], false, "Ask("),
        (&["data"], true, "Allow"),
        (&[""], true, "Allow"),
        (&["dat"], true, "denied"),
        (&["data/b"], true, "denied"),
        (&[], true, "denied"),
    ] {
        let fixture = fixture(Policy { may_replace: set(may_replace), yes, ..Policy::default() });
        check(&format!("{may_replace:?}"), fixture.workspace.check(&write("data/b.csv", "y")), want);
    }
}

#[test]
fn applies_once_and_again() {
    let fixture = fixture(Policy { may_replace: set(&["a.txt"]), yes: true, ..Policy::default() });
    let workspace = &fixture.workspace;
    let root = fixture.folder.path();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (change, path, bytes, sha256) in [
        (write("r/s/t.md", "abc"), "r/s/t.md", 3, Some(abc)),
        (write("a.txt", "abc"), "a.txt", 3, Some(abc)),
        (copy("r/s/t.md", "u/copy.md"), "u/copy.md", 3, Some(abc)),
        (rename("r/s/t.md", "v/moved.md"), "v/moved.md", 3, Some(abc)),
        (make_folder("w/x"), "w/x", 0, None),
        (rename("u", "w/u"), "w/u", 0, None),
    ] {
        for time in ["first", "again"] {
            let applied = workspace.apply(&change).unwrap();
            assert_eq!(
                (applied.path.as_str(), applied.bytes, applied.sha256.as_deref()),
                (path, bytes, sha256),
                "{time} {change:?}"
            );
            assert_eq!(workspace.check(&change).unwrap_or(Verdict::AlreadyDone), Verdict::AlreadyDone, "{change:?}");
        }
    }
    assert_eq!(workspace.policy().created, set(&["a.txt", "v/moved.md", "w/u/copy.md", "w/x"]));
    assert_eq!(fs::read_to_string(root.join("w/u/copy.md")).unwrap(), "abc");
    assert!(!root.join("r/s/t.md").exists() && !root.join("u").exists());
    check("own folder", workspace.check(&rename("w", "z")), "Allow");
    let mut left = Vec::new();
    workspace
        .walk("", true, &mut |entry| {
            left.push(entry.path);
            true
        })
        .unwrap();
    assert!(!left.iter().any(|path| path.ends_with(".tmp")), "{left:?}");
}

#[test]
fn an_input_that_is_written_as_it_is_stays_an_input() {
    let fixture = fixture(Policy { yes: true, ..Policy::default() });
    let workspace = &fixture.workspace;
    for change in [write("a.txt", "alpha"), copy("a.txt", "a.txt"), make_folder("data")] {
        check("as it is", workspace.check(&change), "AlreadyDone");
        workspace.apply(&change).unwrap();
    }
    assert!(workspace.policy().created.is_empty());
    check("moved", workspace.check(&rename("a.txt", "gone.txt")), "is an input file");
}

#[test]
fn a_moved_input_stays_an_input() {
    let fixture = fixture(Policy { may_replace: set(&["a.txt", "data"]), yes: false, ..Policy::default() });
    let workspace = &fixture.workspace;
    workspace.apply(&rename("data", "archive")).unwrap();
    check("moved", workspace.check(&write("archive/b.csv", "y")), "Ask(");
    assert_eq!(workspace.policy().may_replace, set(&["a.txt", "archive"]));
    assert!(workspace.policy().created.is_empty());
}

#[test]
fn a_crash_before_the_rename_is_cleaned_up() {
    let fixture = fixture(Policy::default());
    let change = write("report.md", "whole");
    let (_, temporary) = super::apply::temporary_name("report.md");
    fs::write(fixture.folder.path().join(&temporary), "hal").unwrap();
    fixture.workspace.apply(&change).unwrap();
    assert!(!fixture.folder.path().join(&temporary).exists());
    assert_eq!(fixture.workspace.read_text("report.md").unwrap(), "whole");
}

#[test]
fn refused_changes_leave_everything_as_it_was() {
    let fixture = fixture(Policy::default());
    let workspace = &fixture.workspace;
    for (change, want) in [
        (write("data", "x"), "is a folder"),
        (write("a.txt/b", "x"), "is a file"),
        (write("bad|name", "x"), "not allowed in names"),
        (rename("a.txt", "data/b.csv"), "exists already"),
        (copy("data", "new"), "is a folder"),
    ] {
        check(&format!("{change:?}"), workspace.apply(&change), want);
    }
    assert_eq!(workspace.read_text("a.txt").unwrap(), "alpha");
    assert_eq!(workspace.read_text("data/b.csv").unwrap(), "x\n1\n");
    assert!(workspace.policy().created.is_empty());
}

#[test]
fn system_errors_say_what_to_do() {
    use std::io::{Error as IoError, ErrorKind as Kind};
    let fixture = fixture(Policy::default());
    for (error, want) in [
        (IoError::from(Kind::StorageFull), "the disk is full, so r.md was not written; free some space"),
        (IoError::from(Kind::QuotaExceeded), "the disk is full"),
        (IoError::from(Kind::ReadOnlyFilesystem), "the workspace is read-only, so r.md cannot be changed"),
        (IoError::from_raw_os_error(13), "no permission for r.md"),
        (IoError::from(Kind::Interrupted), "r.md: "),
    ] {
        check("explain", Err::<(), _>(fixture.workspace.explain("r.md", &error)), want);
    }
}

#[test]
fn reads_text_of_any_encoding_and_refuses_the_rest() {
    let fixture = fixture(Policy::default());
    for (bytes, want) in [
        (&b"plain"[..], "(\"plain\", None)"),
        (b"\xef\xbb\xbfmark", "(\"mark\", None)"),
        ("süß".as_bytes(), "(\"süß\", None)"),
        (b"s\xfc\xdf \x80", "(\"süß €\", Some(\"f is not UTF-8; it was read as Windows-1252"),
        (b"s\xc3\xbc \xff", "(\"sü \u{fffd}\", Some(\"f holds bytes that are not UTF-8"),
        (b"\xff\xfeh\0i\0", "(\"hi\", Some(\"f was read as UTF-16"),
        (b"\xfe\xff\0h\0i", "(\"hi\", Some(\"f was read as UTF-16"),
        (b"RIFF is a word", "(\"RIFF is a word\", None)"),
        (b"RIFF\x24\0\0\0WAVE", "f is not text but a sound or video recording"),
        (b"\x89PNG\r\n\x1a\n\0\0", "f is not text but a PNG image of 10 bytes"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"a\0b", "f is not text but a binary file of 3 bytes"),
        (b"", "(\"\", None)"),
    ] {
        fs::write(fixture.folder.path().join("f"), bytes).unwrap();
        check(&format!("{bytes:?}"), fixture.workspace.read_text_noted("f"), want);
    }
    check("limit", fixture.workspace.read("a.txt", 4), "a.txt has 5 bytes; at most 4");
    check("limit", fixture.workspace.read("a.txt", 5), "[97, 108");
    check("folder", fixture.workspace.read("data", 5), "data is a folder; expected a file");
}

#[test]
fn similar_paths_are_offered() {
    let existing = [
        "finance/budget-2025-final.csv",
        "finance/budget_2023.csv",
        "finance/notes.md",
        "README.md",
        "reports/summary_q1.md",
        "tickets.csv",
        "src/main.rs",
        "log-2025-04.csv",
        "log-2025-05.csv",
    ];
    for (wanted, want) in [
        ("finance/budget_2025.csv", "finance/budget-2025-final.csv finance/budget_2023.csv"),
        ("2025 budget.csv", "finance/budget-2025-final.csv"),
        ("readme.md", "README.md"),
        ("ticket.csv", "tickets.csv"),
        ("Tickets.CSV", "tickets.csv"),
        ("main.rs", "src/main.rs"),
        ("log_may.csv", "log-2025-05.csv log-2025-04.csv"),
        ("april log.csv", "log-2025-04.csv"),
        ("q1-summary.md", "reports/summary_q1.md"),
        ("zzz.csv", ""),
    ] {
        let got = path::similar(wanted, existing.into_iter()).join(" ");
        assert!(got == want || (!want.is_empty() && got.starts_with(want)), "{wanted}: {got}");
    }
}

#[test]
fn opening_needs_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f"), "x").unwrap();
    check("missing", Workspace::open(&folder.path().join("gone"), Policy::default()).map(|_| ()), "does not exist");
    check("file", Workspace::open(&folder.path().join("f"), Policy::default()).map(|_| ()), "opening the workspace");
}

#[test]
fn what_is_fenced_is_never_changed() {
    let policy = Policy { yes: true, may_replace: set(&[""]), ..Policy::default() };
    let fixture = fixture(policy);
    let root = fixture.workspace.root().to_owned();
    fs::create_dir_all(root.join("own/home")).unwrap();
    fs::write(root.join("own/home/partita.db"), "journal").unwrap();
    fixture.workspace.fence(&[root.join("own/home"), root.clone(), "/elsewhere".into()]);
    for (change, want) in [
        (write("own/home/config.toml", "x"), "own/home/config.toml belongs to this program; choose another place"),
        (write("own/home/partita.db", "x"), "own/home/partita.db belongs to this program; choose another place"),
        (make_folder("own/home/models"), "own/home/models belongs to this program; choose another place"),
        (rename("own/home/partita.db", "x"), "own/home/partita.db belongs to this program; choose another place"),
        (rename("own", "x"), "own/home belongs to this program; choose another place"),
        (write("own/other.txt", "x"), "Allow"),
        (write("own/home.txt", "x"), "Allow"),
    ] {
        check(&format!("{change:?}"), fixture.workspace.check(&change), want);
    }
}

#[test]
fn names_that_read_as_others_are_not_made() {
    let fixture = fixture(Policy::default());
    for name in ["\u{202e}txt.exe", "a\u{200b}.txt", "b\u{feff}/c.txt", "\u{2066}x\u{2069}"] {
        let refused = shown(fixture.workspace.check(&write(name, "x")));
        assert!(refused.contains("which nobody sees"), "{name:?}: {refused}");
    }
    check("letters that join", fixture.workspace.check(&write("\u{645}\u{200c}\u{646}.txt", "x")), "Allow");
}
