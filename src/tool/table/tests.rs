//! Messy files and the tables, types, bad rows and notes that they give.

use super::*;
use crate::tool::Policy;

fn workspace(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Workspace) {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        std::fs::write(folder.path().join(path), bytes).unwrap();
    }
    let workspace = Workspace::open(folder.path(), Policy::default()).unwrap();
    (folder, workspace)
}

/// The table as `name:type …`, then a line per row, then `! line: why` per bad row.
fn shown(loaded: &Loaded) -> String {
    let kind = |kind: &ColumnType| format!("{kind:?}").to_lowercase();
    let head = loaded.table.columns.iter().zip(&loaded.types).map(|(name, of)| format!("{name}:{}", kind(of)));
    let mut lines = vec![head.collect::<Vec<_>>().join(" ")];
    let cell = |cell: &Json| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
    lines.extend(loaded.table.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join("|")));
    lines.extend(loaded.bad_rows.iter().map(|row| format!("! {}: {}", row.line, row.why)));
    lines.join("\n")
}

fn load_text(path: &str, content: &[u8]) -> Result<Loaded, Error> {
    let (_folder, workspace) = workspace(&[(path, content)]);
    load(&workspace, path, &Options::default())
}

#[test]
fn lists_inside_of_a_json_file_are_tables_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = Workspace::open(folder.path(), Policy::default()).unwrap();
    let tables = |text: &str| -> Vec<String> {
        std::fs::write(folder.path().join("t.json"), text).unwrap();
        let all = load_all(&workspace, "t.json", &Options::default()).unwrap();
        let shown = |(name, loaded): (String, Loaded)| {
            let rows: Vec<String> = loaded.table.rows.iter().map(|row| serde_json::json!(row).to_string()).collect();
            format!("{name}({}): {}", loaded.table.columns.join(","), rows.join(" "))
        };
        all.into_iter().map(shown).collect()
    };
    assert_eq!(
        tables(
            r#"{"unit":"%","rooms":[{"room":"hall","devices":[{"name":"bell","room":1},{"name":"lamp"}]},{"room":"attic"}]}"#
        ),
        [
            r#"t(room,devices): ["hall","[{\"name\":\"bell\",\"room\":1},{\"name\":\"lamp\"}]"] ["attic",null]"#,
            r#"devices(room,name,devices_room): ["hall","bell",1] ["hall","lamp",null]"#
        ]
    );
    assert_eq!(tables(r#"{"a":[{"x":1}],"b":[{"y":2}]}"#), ["a(x): [1]", "b(y): [2]"]);
    assert_eq!(tables(r#"[{"x":1,"tags":["a"]}]"#), [r#"t(x,tags): [1,"[\"a\"]"]"#]);
}

#[test]
fn gaps_make_bad_rows_where_they_are_refused() {
    let (_folder, workspace) = workspace(&[("g.csv", b"id,kg,note\na,1,\nb,,\nc,3,\nd,4,odd\ne,5,\n".as_slice())]);
    let load = |refuses_gaps| load(&workspace, "g.csv", &Options { refuses_gaps, ..Options::default() }).unwrap();
    assert_eq!((load(false).table.rows.len(), load(false).bad_rows.len()), (5, 0));
    let strict = load(true);
    assert_eq!(strict.table.rows.len(), 4, "notes are few: none is missed");
    assert_eq!(
        (strict.bad_rows[0].text.as_str(), strict.bad_rows[0].why.as_str()),
        ("b,,", "kg: nothing stands there")
    );
}

#[test]
fn splits_and_types_delimited_text() {
    for (content, want) in [
        ("a,b\n1,x\n2,y\n", "a:integer b:text\n1|x\n2|y"),
        ("a;b\n1,5;x\n2,25;y\n", "a:real b:text\n1.5|x\n2.25|y"),
        ("a\tb\r\n1\tx\r\n2\t\"y\"\"z\"\r\n", "a:integer b:text\n1|x\n2|y\"z"),
        ("a|b\n1|x\n", "a:integer b:text\n1|x"),
        ("sep=;\na;b\n1;2\n", "a:integer b:integer\n1|2"),
        ("\u{feff}a,b\n 1 , x \n,\n", "a:integer b:text\n1|x"),
        ("name,note\nBob,\"two\nlines, one cell\"\n", "name:text note:text\nBob|two\nlines, one cell"),
        // A stray quote costs nothing.
        ("name,size\npipe,5\" wide\nrod,\"7\n", "name:text size:text\npipe|5\" wide\nrod|\"7"),
        ("# made by hand\nname,n\nx,1\n\n# end\ny,2\n", "name:text n:integer\nx|1\ny|2\n! 5: is a comment"),
        ("#id,n\nx,1\n", "id:text n:integer\nx|1"),
        ("1,2\n3,4\n", "c1:integer c2:integer\n1|2\n3|4"),
        ("Bob,3\nAnn,4\n", "c1:text c2:integer\nBob|3\nAnn|4"),
        ("city,2023,2024\nRome,1,2\nOslo,3,4\n", "city:text 2023:integer 2024:integer\nRome|1|2\nOslo|3|4"),
        ("a,,a,A\n1,2,3,4\n", "a:integer column_2:integer a_2:integer A_3:integer\n1|2|3|4"),
        ("a,b,\n1,2,\n3,4,\n", "a:integer b:integer\n1|2\n3|4"),
        ("word\nx\ny\n", "word:text\nx\ny"),
        ("a,b\n", "a:text b:text"),
        ("a,b\n1,\n,2\n", "a:integer b:integer\n1|null\nnull|2"),
    ] {
        assert_eq!(shown(&load_text("t.csv", content.as_bytes()).unwrap()), want, "{content}");
    }
}

#[test]
fn reads_numbers_dates_and_codes() {
    for (cells, want) in [
        ("$1,234.50 $3", "real 1234.5 3"),
        ("1,234 2,345", "integer 1234 2345"),
        ("1,234 2,5", "real 1.234 2.5"),
        ("1.234,50 7", "real 1234.5 7"),
        ("12% 7.5%", "real 12 7.5"),
        ("-€5 €-6 7€ EUR8 -9", "integer -5 -6 7 8 -9"),
        ("1e3 2.5", "real 1000.0 2.5"),
        ("007 12", "text 007 12"),
        ("1 x 2", "text 1 x 2"),
        ("1-2 3-4", "text 1-2 3-4"),
        ("12kg 3kg", "text 12kg 3kg"),
        ("nan inf", "text nan inf"),
        ("true FALSE", "boolean true FALSE"),
        ("yes no", "text yes no"),
        ("2024-01-31 2024-02-01T10:00", "date 2024-01-31 2024-02-01T10:00"),
        ("31.12.2024 1.2.2024", "date 2024-12-31 2024-02-01"),
        ("12/31/2024 1/2/2024", "date 2024-12-31 2024-01-02"),
        ("31/12/2024 1/2/2024", "date 2024-12-31 2024-02-01"),
        ("3/4/2024 1/2/2024", "date 3/4/2024 1/2/2024"),
        ("2024/3/9 2024-03-10", "date 2024-03-09 2024-03-10"),
        ("5_Mar_2024 March_6,_2024", "date 2024-03-05 2024-03-06"),
        ("3/31/2024_2:05_PM 3/31/2024_12:00_am", "date 2024-03-31 14:05 2024-03-31 00:00"),
        ("2024-02-30 2023-02-29", "text 2024-02-30 2023-02-29"),
        ("99999999999999999999 1", "text 99999999999999999999 1"),
    ] {
        let rows: Vec<String> = cells.split(' ').map(|cell| format!("\"{}\"", cell.replace('_', " "))).collect();
        let loaded = load_text("t.csv", format!("v\n{}\n", rows.join("\n")).as_bytes()).unwrap();
        let got = shown(&loaded).strip_prefix("v:").unwrap().replace('\n', " ");
        assert_eq!(got, want);
    }
}

#[test]
fn names_every_row_that_does_not_fit() {
    let text = "log of June\n\nday,degrees,place\n1,20.5,Rome\n2,n/a,Oslo\nday,degrees,place\n3,19,Rome\n4,18\n5,17,Bonn, West\n\
                6,16,Rome\n7,15,Rome\n8,?,Rome\n9,13,Rome\nTotal,118.5,\n";
    let loaded = load_text("t.csv", text.as_bytes()).unwrap();
    let want = "day:integer degrees:real place:text\n1|20.5|Rome\n3|19|Rome\n6|16|Rome\n7|15|Rome\n9|13|Rome\n\
                ! 1: stands before the header\n! 5: degrees: `n/a` is not a number\n! 6: repeats the header\n\
                ! 8: 2 cells, expected 3\n! 9: 4 cells, expected 3\n! 12: degrees: `?` is not a number\n\
                ! 14: looks like a total of the rows above, not like a row";
    assert_eq!(shown(&loaded), want);
    assert_eq!(loaded.n_rows, 12);
    assert_eq!(loaded.bad_rows[1].text, "2,n/a,Oslo");
    let note = "7 of 12 rows left out: line 1 (stands before the header); line 5 (degrees: `n/a` is not a number); \
                line 6 (repeats the header); 4 more";
    assert!(loaded.notes.contains(&note.to_owned()), "{:?}", loaded.notes);
}

#[test]
fn notes_what_was_done_to_cells() {
    for (content, want) in [
        ("a;b\n1,5;x\n2,5;y\n", "`a`: decimal comma read as point (`1,5` is 1.5)"),
        ("a\n$5\n6\n", "`a`: currency signs dropped (`$5` is 5)"),
        ("a\n5 %\n6 %\n", "`a`: percent signs dropped (`5 %` is 5)"),
        ("a\n\"1,000\"\n", "`a`: thousands separators dropped (`1,000` is 1000)"),
        ("a\n31.12.2024\n", "`a`: dates are given as YYYY-MM-DD (`31.12.2024` is 2024-12-31)"),
        (
            "a,b\n2024-01-01,1\n2024-01-02,1\n2024-01-03,1\n2024-01-04,1\nsoon,1\n",
            "`a`: 1 cells cannot be read as one date and are kept: line 6 `soon`",
        ),
        ("a\nNorth\nnorth\nsouth\n", "`a` spells the same text in several ways: `North` and `north`"),
        ("a,b\n1,x\n2,y\n1,x\n", "1 rows repeat an earlier row exactly and are kept: line 4"),
        ("a\n1\n2\nx\ny\n", "`a` is text: only 2 of its 4 cells are numbers"),
        ("a,b\n1,\" x\"\n2,y\n", "blanks around cells were dropped in 1 rows"),
        ("1,2\n3,4\n", "t.csv has no header; its columns are called c1 to c2"),
        ("a,,a\n1,2,3\n", "column 2 has no name in the file; it is called `column_2`"),
        ("a,,a\n1,2,3\n", "column 3 has a name that another column has; it is called `a_2`"),
        ("# x\na,b\n\n1,2\n", "t.csv: skipped 1 blank and 1 comment lines"),
    ] {
        let notes = load_text("t.csv", content.as_bytes()).unwrap().notes;
        assert!(notes.iter().any(|note| note == want), "{content}: {notes:?}");
    }
}

#[test]
fn reads_other_formats() {
    for (path, content, want) in [
        ("t.json", r#"[{"a":1,"b":"x"},{"b":"y","c":true}]"#, "a:integer b:text c:boolean\n1|x|null\nnull|y|true"),
        ("t.json", r#"{"unit":"EUR","items":[{"a":1.5}]}"#, "a:real\n1.5"),
        ("t.json", r#"{"data":{"items":[{"a":1}]}}"#, "a:integer\n1"),
        ("t.json", r#"{"Rome":3,"Oslo":4}"#, "key:text value:integer\nRome|3\nOslo|4"),
        ("t.json", r#"{"Rome":{"n":3},"Oslo":{"n":4}}"#, "key:text n:integer\nRome|3\nOslo|4"),
        ("t.json", r#"[{"a":{"b":1,"c":{"d":2}},"e":[1,2]}]"#, "a_b:integer a_c_d:integer e:text\n1|2|[1,2]"),
        ("t.json", r#"[{"a":1},7]"#, "a:integer\n1\n! 2: is not an object"),
        ("t.json", r#"["x","y"]"#, "value:text\nx\ny"),
        ("t.json", r#"[["a","b"],[1,2],[3]]"#, "a:integer b:integer\n1|2\n! 3: is not an array of 2 cells"),
        ("t.json", "{\"a\":1}\n{\"a\":2}\n", "a:integer\n1\n2"),
        ("t.json", r#"[{"a":"1"},{"a":"2.5"}]"#, "a:real\n1\n2.5"),
        (
            "t.jsonl",
            "{\"a\":1}\n\n{\"a\"\n{\"a\":2}\n",
            "a:integer\n1\n2\n! 3: is not valid JSON: EOF while parsing an object at line 1 column 4",
        ),
        ("t.txt", "{\"a\":1}\n{\"a\":2}\n", "a:integer\n1\n2"),
        (
            "t.md",
            "# Prices\n\n| item | n |\n|---|---:|\n| a\\|b | 1 |\n| c | 2 |\n\nEnd.\n",
            "item:text n:integer\na|b|1\nc|2",
        ),
        ("t.txt", "a,b\n1,2\n3,4\n", "a:integer b:integer\n1|2\n3|4"),
    ] {
        assert_eq!(shown(&load_text(path, content.as_bytes()).unwrap()), want, "{content}");
    }
}

#[test]
fn refuses_what_is_no_table() {
    for (path, content, want) in [
        ("t.csv", "", "t.csv is empty; expected a table"),
        (
            "t.txt",
            "Dear all,\nthe meeting is off.\nBest, Ann\n",
            "t.txt is not a table: its lines do not split into the same number of columns; read or search it as text",
        ),
        ("t.json", "{\"a\":", "t.json is not valid JSON: EOF while parsing a value at line 1 column 5"),
        ("t.json", "3", "t.json holds the single value 3; expected an array of objects"),
        ("t.md", "# Title\n", "t.md holds no Markdown table; read it as text"),
    ] {
        assert_eq!(load_text(path, content.as_bytes()).unwrap_err().to_string(), want);
    }
    let (_folder, workspace) = workspace(&[("a.csv", b"x\n1\n")]);
    assert!(matches!(load(&workspace, "b.csv", &Options::default()), Err(Error::Missing { .. })));
    assert!(matches!(load(&workspace, "../a.csv", &Options::default()), Err(Error::Denied(_))));
}

#[test]
fn reads_sqlite_files_without_touching_them() {
    let (folder, workspace) = workspace(&[]);
    let path = folder.path().join("shop.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE item(name TEXT, price REAL); CREATE TABLE stock(name TEXT, n INT);
             INSERT INTO item VALUES ('a', 1.5), ('b', NULL); INSERT INTO stock VALUES ('a', 3);",
        )
        .unwrap();
    drop(connection);
    let before = std::fs::read(&path).unwrap();
    let all = load_all(&workspace, "shop.db", &Options::default()).unwrap();
    assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["item", "stock"]);
    assert_eq!(shown(&all[0].1), "name:text price:real\na|1.5\nb|null");
    let stock = load(&workspace, "shop.db", &Options { table: Some("STOCK".into()), ..Options::default() }).unwrap();
    assert_eq!(shown(&stock), "name:text n:integer\na|3");
    let wrong = load(&workspace, "shop.db", &Options { table: Some("x".into()), ..Options::default() }).unwrap_err();
    assert_eq!(wrong.to_string(), "shop.db has no table `x`; it has `item`, `stock`");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let (_folder, broken) = self::workspace(&[("x.db", b"SQLite format 3\0 and then nothing of use")]);
    assert!(load(&broken, "x.db", &Options::default()).is_err());
}

#[test]
fn peeks() {
    let (_folder, workspace) =
        workspace(&[("t.csv", b"region,n\nNorth,1\nSouth,2\nNorth,3\nEast,4\nWest,5\nWest,x\n")]);
    let peek = peek(&workspace, "t.csv").unwrap();
    assert_eq!(peek.types, [ColumnType::Text, ColumnType::Integer]);
    assert_eq!((peek.first_rows.len(), peek.n_rows, peek.n_bad), (2, 6, 1));
    assert_eq!(peek.examples, [vec!["North".to_owned(), "South".into(), "East".into(), "West".into()], vec![]]);
}

proptest::proptest! {
    /// Whatever the bytes are: a table, bad rows or an error; counts add up, every row has every cell.
    #[test]
    fn never_panics_and_keeps_rows_whole(content in "([a-c0-9,;|\"# \\-.$%é]{0,12}\n){0,12}", name in "t\\.(csv|txt|json|md|jsonl)") {
        if let Ok(loaded) = load_text(&name, content.as_bytes()) {
            proptest::prop_assert_eq!(loaded.n_rows, loaded.table.rows.len() + loaded.bad_rows.len());
            for row in &loaded.table.rows {
                proptest::prop_assert_eq!(row.len(), loaded.table.columns.len());
            }
        }
    }
}
