//! What is replaced where, and what stays.

use serde_json::json;

use super::super::call::testing::{call, check, workspace};
use super::super::{Change, Value};

const FILES: [(&str, &[u8]); 5] = [
    ("site/a.md", b"Ring 0551 20477 or 0551 20477.\r\nNot 0551 204771."),
    ("site/b/c.html", b"<p>0551 20477</p>"),
    ("site/old/d.txt", b"0551 20477"),
    ("site/latin.txt", b"caf\xe9 0551 20477"),
    ("notes.txt", b"Elm street, Elmwood, elm"),
];

#[test]
fn every_place_is_replaced_and_nothing_else() {
    let (_folder, workspace) = workspace(&FILES);
    workspace.permit(&[String::new()]);
    let arguments = json!({"find": "0551 20477", "replace": "$1 99", "path": "site", "except": "site/old, x"});
    let output = call(&workspace, "replace_text", arguments).unwrap();
    let Value::Table(table) = &output.value else { panic!("{:?}", output.value) };
    assert_eq!(table.rows, [vec![json!("site/a.md"), json!(2)], vec![json!("site/b/c.html"), json!(1)]]);
    let contents: Vec<&str> = output
        .changes
        .iter()
        .map(|change| match change {
            Change::Write { content, .. } => content.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(contents, ["Ring $1 99 or $1 99.\r\nNot 0551 204771.", "<p>$1 99</p>"]);
    assert!(output.notes[0].ends_with("in 3 places in 2 files"), "{:?}", output.notes);
    assert!(output.notes[1].contains("longer words, as in site/a.md"), "{:?}", output.notes);
}

#[test]
fn what_cannot_be_replaced_is_explained() {
    let (_folder, workspace) = workspace(&FILES);
    workspace.permit(&[String::new()]);
    for (find, put, more, want) in [
        ("Elm", "Linden", json!({}), "…in 1 places in 1 files"),
        ("Elm", "Linden", json!({"inside_words": true}), "…in 2 places in 1 files"),
        ("elm", "Linden", json!({"ignore_case": true}), "…in 2 places in 1 files"),
        (
            "Oak",
            "Linden",
            json!({}),
            "!no file in the workspace holds \"Oak\"; give the old text exactly as it stands there",
        ),
        ("wood", "land", json!({}), "…set inside_words to change these"),
        ("Elm", "Elm", json!({}), "!replace_text: find is \"Elm\"; expected a text other than \"Elm\""),
    ] {
        let mut arguments = json!({"find": find, "replace": put});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        check(&workspace, "replace_text", arguments, want);
    }
}
