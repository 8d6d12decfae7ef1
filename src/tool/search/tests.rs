//! Tables: patterns by options over a few files.

use serde_json::json;

use super::super::call::testing::{call, check, workspace};
use super::super::{Output, Value};

#[test]
fn finds_lines() {
    let (_folder, workspace) = workspace(&[
        ("src/a.py", b"# TODO: one\nx = 1\n    # fixme: two\r\n"),
        ("src/b.js", b"// FIXME three (a|b)\n// TODOS\n"),
        ("notes.md", b"todo list\nsumm\xfcr\n"),
        ("x.bin", b"TODO\0"),
        (".hidden", b"TODO"),
    ]);
    let header = "file,line,text\n";
    let skipped = " (1 of 4 files are not text and were skipped)";
    for (arguments, want) in [
        (json!({"pattern": "TODO", "path": "src"}), "src/a.py,1,# TODO: one\nsrc/b.js,2,// TODOS\n".to_owned()),
        (json!({"pattern": "TODO", "path": "src", "whole_word": true}), "src/a.py,1,# TODO: one\n".to_owned()),
        (json!({"pattern": "fixme", "path": "src/a.py"}), "src/a.py,3,# fixme: two\n".to_owned()),
        (json!({"pattern": "fixme", "ignore_case": true}), format!("src/a.py,3,# fixme: two\nsrc/b.js,1,// FIXME three (a|b)\n{skipped}")),
        (json!({"pattern": "(a|b)", "path": "src"}), "src/b.js,1,// FIXME three (a|b)\n".to_owned()),
        (json!({"pattern": "^x|two$", "regex": true, "path": "src"}), "src/a.py,2,x = 1\nsrc/a.py,3,# fixme: two\n".to_owned()),
        (json!({"pattern": "TODO|FIXME", "files": "*.js"}), "src/b.js,1,// FIXME three (a|b)\nsrc/b.js,2,// TODOS\n (no line holds \"TODO|FIXME\", so it was taken as a regular expression)".to_owned()),
        (json!({"pattern": "TODO|FIXME", "regex": false, "path": "src"}), "src/a.py,1,# TODO: one\nsrc/b.js,1,// FIXME three (a|b)\nsrc/b.js,2,// TODOS\n (no line holds \"TODO|FIXME\", so it was taken as a regular expression)".to_owned()),
        (json!({"pattern": "sum+ür", "regex": true, "files": "*.md"}), "notes.md,2,summür\n".to_owned()),
        (json!({"pattern": "TODO", "files": "*.rs"}), format!("src/a.py,1,# TODO: one\nsrc/b.js,2,// TODOS\n{skipped}")),
    ] {
        check(&workspace, "search_text", arguments, &format!("{header}{want}"));
    }
    for (arguments, want) in [
        (json!({"pattern": ""}), "…pattern is empty"),
        (json!({"pattern": "(", "regex": true}), "…is not a regular expression: unclosed group"),
        (json!({"pattern": "x", "path": "scr"}), "!scr does not exist; did you mean src?"),
        (json!({"pattern": "x", "path": "../.."}), "…is outside"),
    ] {
        check(&workspace, "search_text", arguments, want);
    }
}

#[test]
fn bounds_rows_and_lines() {
    let many = "hit\n".repeat(1200);
    let long = format!("{}needle{}", "ä".repeat(1000), "z".repeat(1000));
    let (_folder, workspace) = workspace(&[("many", many.as_bytes()), ("long", long.as_bytes())]);
    let Output { value: Value::Table(table), notes, .. } =
        call(&workspace, "search_text", json!({"pattern": "hit"})).unwrap()
    else {
        panic!("not a table")
    };
    assert_eq!(
        (table.rows.len(), notes),
        (1000, vec!["200 more lines match; only the first 1000 are listed".to_owned()])
    );
    let want = format!("file,line,text\nlong,1,…{}needle{}…\n", "ä".repeat(100), "z".repeat(194));
    check(&workspace, "search_text", json!({"pattern": "needle"}), &want);
}
