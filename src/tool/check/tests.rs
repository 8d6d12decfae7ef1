//! Tables: texts and what is counted in them, words they lack, files that are not what their name says.

use super::{Unit, missing_words, n_rows, problem};

#[test]
fn counts() {
    let poem = "The sea is wide,\nthe sea is deep.\n\nIt rocks the sailors\nto their sleep.\n";
    let report = "# Report\n\nOne thing happened. Two things\nfollowed!\n\n- first point\n- second point. It has two.\n  * inner\n\n1. one\n2) two\n\n| a | b |\n|---|---|\n| 1. | 2 |\n";
    for (text, unit, want) in [
        (poem, Unit::Line, 4),
        (poem, Unit::Word, 15),
        (poem, Unit::Paragraph, 2),
        (poem, Unit::Sentence, 2),
        (report, Unit::Bullet, 3),
        (report, Unit::NumberedItem, 2),
        (report, Unit::Sentence, 8),
        (report, Unit::Line, 11),
        ("", Unit::Line, 0),
        ("", Unit::Sentence, 0),
        (" \n\n", Unit::Paragraph, 0),
        ("ab\nä\n", Unit::Character, 4),
        ("a — b", Unit::Word, 2),
        ("**bold** word", Unit::Word, 2),
        ("-5 degrees\n-no bullet", Unit::Bullet, 0),
        ("2025. A year.", Unit::NumberedItem, 0),
    ] {
        assert_eq!(unit.count(text), want, "{unit:?} in {text:?}");
    }
}

#[test]
fn sentences() {
    for (text, want) in [
        ("It rained. We left.", 2),
        ("It rained", 1),
        ("It cost 3.5 euro. Cheap!", 2),
        ("Dr. Smith met Mr. J. Doe at 5 p.m. on Monday.", 1),
        ("Fruit, e.g. apples, i.e. food. Good.", 2),
        ("Apples, pears, etc. The rest is gone.", 2),
        ("\"Stop!\" he said. \"Why?\"", 3),
        ("He said \"Stop.\" Then he left.", 2),
        ("Really?! Yes...  No", 3),
        ("One...two", 1),
        ("See file.txt and a.b.c for more.", 1),
        ("So did I. We both did.", 2),
        ("(It was late.) We slept.", 2),
        ("# Heading. Not counted.\n\nOne.", 1),
        ("A line\nthat goes on.", 1),
        ("Die Kosten, z.B. Porto, steigen. Schade.", 2),
    ] {
        assert_eq!(Unit::Sentence.count(text), want, "{text:?}");
    }
}

#[test]
fn rows() {
    for (path, text, want) in [
        ("a.csv", "a,b\n1,2\n\n3,4\n", Some(2)),
        ("a.csv", "a,b\n", Some(0)),
        ("a.tsv", "a\tb\n1\t2\n", Some(1)),
        ("a.json", "[1, 2, 3]", Some(3)),
        ("a.json", "{\"a\": 1, \"b\": 2}", Some(2)),
        ("a.json", "{\"rows\": [1, 2, 3]}", Some(3)),
        ("a.json", "7", None),
        ("a.json", "{", None),
        ("a.jsonl", "{}\n{}\n", Some(2)),
        ("a.yaml", "- 1\n- 2\n", Some(2)),
        ("a.md", "# T\n\n| a |\n|---|\n| 1 |\n| 2 |\n\ntext", Some(2)),
        ("a.md", "text", None),
        ("a.txt", "text", None),
        ("Makefile", "all:", None),
    ] {
        assert_eq!(n_rows(path, text), want, "{path}: {text:?}");
    }
}

#[test]
fn words() {
    let text = "The Harbour-master saw\nNew  York, “Möwe” and C++ (e.g. ropes).";
    for (words, want) in [
        (&["harbour", "MASTER", "möwe", "new york", "c++", "e.g.", "The"][..], &[][..]),
        (&["rope", "Har", "york saw", "owe"], &["rope", "Har", "york saw", "owe"]),
        (&["ropes", "", " "], &[]),
        (&["a.b", "ropes)"], &["a.b"]),
    ] {
        assert_eq!(missing_words(text, words), want, "{words:?}");
    }
}

#[test]
fn problems() {
    for (path, text, want) in [
        ("a.txt", "x", None),
        ("a.txt", " \n", Some("a.txt is empty")),
        ("a.json", "", Some("a.json is empty")),
        ("a.json", "{\"a\": 1}", None),
        ("a.json", "{'a': 1}", Some("a.json: not valid JSON: key must be a string at line 1 column 2")),
        ("a.json", "{} {}", Some("a.json: not valid JSON: trailing characters")),
        ("a.jsonl", "{}\n[\n", Some("a.jsonl: line 2 is not valid JSON")),
        ("a.csv", "a,b\n1,2\n", None),
        ("a.csv", "a;b\n1;2\n", None),
        ("a.csv", "a\n1\n", None),
        ("a.csv", "a,b\n1,2,3\n", Some("a.csv: line 2 has 3 cells, expected 2")),
        ("a.csv", "a,b\n1\n", Some("a.csv: line 2 has 1 cells, expected 2")),
        ("a.csv", "a,b\n\"1,2\n3,4\n", Some("a.csv: a quotation mark is never closed")),
        ("a.csv", "a,b\n\"x \"\"y\"\"\",2\n", None),
        ("a.tsv", "a\tb\n1\n", Some("a.tsv: line 2 has 1 cells")),
        ("a.yaml", "a: 1", None),
        ("a.yaml", "a: [1", Some("a.yaml: not valid YAML")),
        ("a.toml", "a = 1", None),
        ("a.toml", "a", Some("a.toml: not valid TOML")),
        ("a.md", "# T\n\ntext | more\n", None),
        ("a.md", "| a | b |\n|---|---|\n| 1 | 2 |\n", None),
        ("a.md", "| a | b |\n|---|---|\n| 1 |\n", Some("a.md: line 3 of its table has 1 cells, expected 2")),
        ("a.md", "| a |\n|---|\n| 1 |\n\n| a | b |\n|---|---|\n| 1 |\n", Some("a.md: line 7 of its table has 1 cells")),
        ("a.md", "```\ncode\n```\ntext", None),
        ("a.md", "text\n```\ncode", Some("a.md: a code fence is never closed")),
        ("a.md", "```markdown\n# T\n```\n", Some("a.md: the whole text stands in a code fence")),
        ("a.txt", "```\nx\n```", Some("a.txt: the whole text stands in a code fence")),
        ("a.py", "def f(:", None),
    ] {
        let got = problem(path, text);
        let fits = match (&got, want) {
            (Some(got), Some(want)) => got.starts_with(want),
            (got, want) => got.is_none() && want.is_none(),
        };
        assert!(fits, "{path}: {text:?}\n got  {got:?}\n want {want:?}");
    }
}
