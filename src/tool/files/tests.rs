//! Tables over a small workspace: what each tool returns and what it wants changed.

use serde_json::json;

use super::super::call::testing::{call, check, workspace};
use super::super::{Output, Value};

const FILES: [(&str, &[u8]); 6] = [
    ("a.txt", b"one\ntwo\nthree\n"),
    ("notes/b.md", b"# B\nbody"),
    ("notes/deep/c.md", b""),
    ("logo.png", b"\x89PNG\r\n\x1a\n\0\0"),
    ("old.txt", b"caf\xe9\n"),
    (".env", b"secret"),
];

#[test]
fn lists() {
    let (_folder, workspace) = workspace(&FILES);
    let paths = |arguments| match call(&workspace, "list_files", arguments).unwrap() {
        Output { value: Value::Table(table), notes, .. } => {
            assert_eq!(table.columns, ["path", "bytes", "modified"]);
            let paths = table.rows.iter().map(|row| format!("{}:{}", row[0].as_str().unwrap(), row[1]));
            paths.chain(notes).collect::<Vec<_>>().join(" ")
        }
        other => panic!("{other:?}"),
    };
    for (arguments, want) in [
        (json!({}), "a.txt:14 logo.png:10 notes/b.md:8 notes/deep/c.md:0 old.txt:5"),
        (json!({"folder": "notes"}), "notes/b.md:8 notes/deep/c.md:0"),
        (json!({"folder": ".", "pattern": "*.txt"}), "a.txt:14 old.txt:5"),
        (json!({"pattern": "*.csv"}), "no file is named like *.csv"),
        (json!({"pattern": ""}), "a.txt:14 logo.png:10 notes/b.md:8 notes/deep/c.md:0 old.txt:5"),
    ] {
        assert_eq!(paths(arguments.clone()), want, "{arguments}");
    }
    let facts = "path,title,lines,words\nnotes/b.md,B,2,3\nnotes/deep/c.md,,0,0\n";
    check(&workspace, "list_files", json!({"folder": "notes", "show": "title, lines,words"}), facts);
    check(
        &workspace,
        "list_files",
        json!({"show": "age"}),
        "!list_files shows no \"age\"; it shows bytes, modified, title, lines, words",
    );
    check(&workspace, "list_files", json!({"folder": "note"}), "!note does not exist; did you mean notes?");
    assert_eq!(super::date_time(1_740_839_405_000), "2025-03-01 14:30:05");
}

#[test]
fn reads() {
    let (_folder, workspace) = workspace(&FILES);
    for (arguments, want) in [
        (json!({"path": "a.txt"}), "one\ntwo\nthree\n"),
        (
            json!({"path": "a.txt", "from_line": 2, "n_lines": 1}),
            "two\n (a.txt: lines 2 to 2 are shown, 6 bytes are left)",
        ),
        (json!({"path": "a.txt", "from_line": 3, "n_lines": 9}), "three\n"),
        (json!({"path": "a.txt", "from_line": 4}), "!a.txt has 3 lines; from_line 4 is past its end"),
        (json!({"path": "notes/deep/c.md"}), ""),
        (json!({"path": "old.txt"}), "café\n (old.txt is not UTF-8; it was read as Windows-1252)"),
        (json!({"path": "logo.png"}), "!logo.png is not text but a PNG image of 10 bytes; expected a text file"),
        (json!({"path": "notes"}), "!notes is a folder; expected a file"),
        (json!({"path": "b.md"}), "!b.md does not exist; did you mean notes/b.md?"),
        (json!({"path": "../x"}), "…is outside of the workspace"),
    ] {
        check(&workspace, "read_file", arguments, want);
    }
}

#[test]
fn reads_large_files_in_parts() {
    let lines: String = (1..=20_000).map(|i| format!("line {i}\n")).collect();
    let long = format!("{}ä", "x".repeat(65_535)) + &"y".repeat(100);
    let utf16: Vec<u8> = "\u{feff}eins\nzwei".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (_folder, workspace) = workspace(&[("big", lines.as_bytes()), ("long", long.as_bytes()), ("wide", &utf16)]);
    let mut from_line = 1;
    let mut whole = String::new();
    loop {
        let output = call(&workspace, "read_file", json!({"path": "big", "from_line": from_line})).unwrap();
        let Value::Text(part) = output.value else { panic!("not a text") };
        assert!(part.len() <= 64 << 10);
        whole += &part;
        let Some(note) = output.notes.first() else { break };
        from_line = note.rsplit(' ').next().unwrap().parse().unwrap();
    }
    assert!(whole == lines);
    let output = call(&workspace, "read_file", json!({"path": "long"})).unwrap();
    assert_eq!(output.value, Value::Text("x".repeat(65_535)));
    assert_eq!(output.notes, ["long: lines 1 to 1 are shown, 102 bytes are left; call again with from_line 2"]);
    check(&workspace, "read_file", json!({"path": "wide", "from_line": 2}), "zwei (wide was read as UTF-16)");
}

#[test]
fn changes() {
    let (_folder, workspace) = workspace(&FILES);
    workspace.apply(&super::Change::Write { path: "mine.txt".into(), content: "x".into() }).unwrap();
    for (tool, arguments, want) in [
        ("write_file", json!({"path": "./new.md", "content": "hi"}), "new.md -> new.md: hi"),
        ("write_file", json!({"path": "mine.txt", "content": "hi"}), "mine.txt -> mine.txt: hi"),
        ("write_file", json!({"path": "a.txt", "content": "hi"}), "!a.txt is an input file; write to another name"),
        ("write_file", json!({"path": "notes", "content": "hi"}), "!notes is a folder; expected the name of a file"),
        ("write_file", json!({"path": "a/../../b", "content": "hi"}), "…is outside"),
        ("append_file", json!({"path": "mine.txt", "content": "y\n"}), "mine.txt -> mine.txt: x\ny\n"),
        ("append_file", json!({"path": "new.txt", "content": "y"}), "new.txt -> new.txt: y"),
        ("append_file", json!({"path": "a.txt", "content": "y"}), "!a.txt is an input file; write to another name"),
        ("append_file", json!({"path": "logo.png", "content": "y"}), "…is not UTF-8 text"),
        ("move_file", json!({"from": "mine.txt", "to": "sub/m.txt"}), "sub/m.txt -> mine.txt to sub/m.txt"),
        ("move_file", json!({"from": "mine.txt", "to": "notes"}), "notes/mine.txt -> mine.txt to notes/mine.txt"),
        ("move_file", json!({"from": "mine.txt", "to": "new/"}), "new/mine.txt -> mine.txt to new/mine.txt"),
        ("move_file", json!({"from": "gone", "to": "a.txt"}), "!gone does not exist"),
        ("move_file", json!({"from": "a.txt", "to": "z"}), "…a.txt is an input file; leave it"),
        ("copy_file", json!({"from": "a.txt", "to": "notes/"}), "notes/a.txt -> a.txt as notes/a.txt"),
        ("copy_file", json!({"from": "notes/b.md", "to": "."}), "b.md -> notes/b.md as b.md"),
        ("copy_file", json!({"from": "notes", "to": "n"}), "…only files are copied"),
        ("copy_file", json!({"from": "a.txt", "to": "old.txt"}), "…old.txt is an input file"),
        ("make_folder", json!({"path": "x/y/"}), "x/y -> folder x/y"),
        ("make_folder", json!({"path": "a.txt"}), "…a.txt is a file"),
    ] {
        check(&workspace, tool, arguments, want);
    }
    let big = "x".repeat(16 << 20);
    check(&workspace, "append_file", json!({"path": "mine.txt", "content": big}), "…at most 16777216 can be written");
}
