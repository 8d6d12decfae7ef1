//! Tables: every format by every kind of value.

use serde_json::{Value as Json, json};

use super::cell::data_text;
use super::{Format, Table, Value, cell_text, detect, parse, render};

fn table(columns: &str, rows: Json) -> Value {
    let columns = columns.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let rows = rows.as_array().unwrap().iter().map(|row| row.as_array().unwrap().clone()).collect();
    Value::Table(Table { columns, rows })
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// `want` starting with `!` is a part of the error's text.
fn check(value: &Value, format: Format, want: &str) {
    let got = render(value, format).unwrap_or_else(|error| format!("!{error}"));
    let fits = want.strip_prefix('!').map_or(got == want, |want| got.starts_with('!') && got.contains(want));
    assert!(fits, "{format:?} of {value:?}:\n{got}\nwanted:\n{want}");
}

#[test]
fn tables() {
    let regions = table("region total", json!([["North", 1200.5], ["South|East", 0.1 + 0.2], ["a\nb", null]]));
    let wide = table("name n ok", json!([["x", 1, true], ["y", 2, null]]));
    let findings = table("file line text", json!([["a.py", 3, "TODO: this"], ["b.py", 14, "FIXME: that"]]));
    for (value, format, want) in [
        (
            &regions,
            Format::MarkdownTable,
            "| region | total |\n| --- | ---: |\n| North | 1200.5 |\n| South\\|East | 0.3 |\n| a<br>b |  |\n",
        ),
        (&regions, Format::Csv, "region,total\nNorth,1200.5\nSouth|East,0.3\n\"a\nb\",\n"),
        (&regions, Format::Tsv, "region\ttotal\nNorth\t1200.5\nSouth|East\t0.3\n\"a\nb\"\t\n"),
        (
            &regions,
            Format::JsonLines,
            "{\"region\":\"North\",\"total\":1200.5}\n{\"region\":\"South|East\",\"total\":0.3}\n{\"region\":\"a\\nb\",\"total\":null}\n",
        ),
        (&regions, Format::JsonObject, "{\n  \"North\": 1200.5,\n  \"South|East\": 0.3,\n  \"a\\nb\": null\n}\n"),
        (&regions, Format::BulletList, "- North – 1200.5\n- South|East – 0.3\n- a b – \n"),
        (&regions, Format::NumberedList, "1. North – 1200.5\n2. South|East – 0.3\n3. a b – \n"),
        (
            &regions,
            Format::Yaml,
            "- region: North\n  total: 1200.5\n- region: South|East\n  total: 0.3\n- region: |-\n    a\n    b\n  total: null\n",
        ),
        (&regions, Format::Text, "region\ttotal\nNorth\t1200.5\nSouth|East\t0.3\n\"a\nb\"\t\n"),
        (
            &wide,
            Format::Json,
            "[\n  {\n    \"name\": \"x\",\n    \"n\": 1,\n    \"ok\": true\n  },\n  {\n    \"name\": \"y\",\n    \"n\": 2,\n    \"ok\": null\n  }\n]\n",
        ),
        (
            &wide,
            Format::JsonObject,
            "{\n  \"x\": {\n    \"n\": 1,\n    \"ok\": true\n  },\n  \"y\": {\n    \"n\": 2,\n    \"ok\": null\n  }\n}\n",
        ),
        (&wide, Format::BulletList, "- x – n: 1, ok: true\n- y – n: 2\n"),
        (&wide, Format::Toml, "[[rows]]\nname = \"x\"\nn = 1\nok = true\n\n[[rows]]\nname = \"y\"\nn = 2\n"),
        (&findings, Format::BulletList, "- a.py:3: TODO: this\n- b.py:14: FIXME: that\n"),
        (&findings, Format::NumberedList, "1. a.py:3: TODO: this\n2. b.py:14: FIXME: that\n"),
        (&table("n", json!([[3]])), Format::Text, "3\n"),
        (&table("n", json!([[3]])), Format::JsonObject, "{\n  \"n\": 3\n}\n"),
        (&table("n", json!([[3], ["x"]])), Format::Text, "3\nx\n"),
        (&table("n", json!([[3], ["x"]])), Format::BulletList, "- 3\n- x\n"),
        (&table("n", json!([[3], ["x"]])), Format::JsonObject, "!one column n"),
        (&table("net tax total", json!([[100.0, 19.0, 119.0]])), Format::Text, "net: 100\ntax: 19\ntotal: 119\n"),
        (&table("net tax", json!([[100.0, 19.5]])), Format::JsonObject, "{\n  \"net\": 100.0,\n  \"tax\": 19.5\n}\n"),
        (&table("k v", json!([["a", 1], ["a", 2]])), Format::JsonObject, "!column k holds \"a\" twice"),
        (&table("a b", json!([])), Format::MarkdownTable, "| a | b |\n| --- | --- |\n"),
        (&table("a b", json!([])), Format::Csv, "a,b\n"),
        (&table("a b", json!([])), Format::Json, "[]\n"),
        (&table("a b", json!([])), Format::JsonObject, "{}\n"),
        (&table("a b", json!([])), Format::BulletList, ""),
    ] {
        check(value, format, want);
    }
}

#[test]
fn texts_and_json() {
    let objects = Value::Json(json!([{"a": 1, "b": {"c": [1]}}, {"a": "x", "d": false}]));
    for (value, format, want) in [
        (&text("one\ntwo"), Format::Text, "one\ntwo\n"),
        (&text(""), Format::Text, ""),
        (&text("- one\n\n2. two\n * three\n2025. four"), Format::BulletList, "- one\n- two\n- three\n- 2025. four\n"),
        (&text("one\n* two"), Format::NumberedList, "1. one\n2. two\n"),
        (&text("one"), Format::Json, "\"one\"\n"),
        (&text("[1, 2]"), Format::Json, "[\n  1,\n  2\n]\n"),
        (&text("{\"a\": 1}"), Format::JsonObject, "{\n  \"a\": 1\n}\n"),
        (&text("one"), Format::JsonObject, "!a text is no JSON object"),
        (&text("one"), Format::MarkdownTable, "!a text has no rows and columns; write it as text, bullet_list"),
        (&text("[{\"a\": 1}]"), Format::Csv, "a\n1\n"),
        (&text("a: b"), Format::Yaml, "'a: b'\n"),
        (&text("x"), Format::Toml, "!a single value is no TOML"),
        (
            &objects,
            Format::MarkdownTable,
            "| a | b | d |\n| --- | --- | --- |\n| 1 | {\"c\":[1]} |  |\n| x |  | false |\n",
        ),
        (&objects, Format::Csv, "a,b,d\n1,\"{\"\"c\"\":[1]}\",\nx,,false\n"),
        (&objects, Format::BulletList, "- 1 – b: {\"c\":[1]}\n- x – d: false\n"),
        (&objects, Format::JsonLines, "{\"a\":1,\"b\":{\"c\":[1]}}\n{\"a\":\"x\",\"d\":false}\n"),
        (&Value::Json(json!(["a", 2.0])), Format::Text, "a\n2\n"),
        (&Value::Json(json!(["a", 2.0])), Format::BulletList, "- a\n- 2\n"),
        (&Value::Json(json!(["a", 2.0])), Format::Csv, "value\na\n2\n"),
        (&Value::Json(json!([["a", 2], ["b"]])), Format::Csv, "column_1,column_2\na,2\nb,\n"),
        (&Value::Json(json!({"high": 3.5, "low": 1})), Format::Csv, "key,value\nhigh,3.5\nlow,1\n"),
        (&Value::Json(json!({"high": 3.5, "low": 1})), Format::BulletList, "- high: 3.5\n- low: 1\n"),
        (&Value::Json(json!({"high": 3.5, "low": 1})), Format::Toml, "high = 3.5\nlow = 1\n"),
        (&Value::Json(json!({"x": {"n": 1}, "y": {"m": 2}})), Format::Csv, "key,n,m\nx,1,\ny,,2\n"),
        (&Value::Json(json!({"a": [1, 2], "b": [3, 4]})), Format::Csv, "a,b\n1,3\n2,4\n"),
        (&Value::Json(json!({"rows": [{"a": 1}]})), Format::Csv, "a\n1\n"),
        (&Value::Json(json!(7)), Format::Text, "7\n"),
        (&Value::Json(json!("s")), Format::Text, "s\n"),
        (&Value::Json(json!(7)), Format::Csv, "!a single value has no rows"),
        (&Value::Json(json!([1.1 + 2.2, null])), Format::Json, "[\n  3.3,\n  null\n]\n"),
        (&Value::Json(json!([])), Format::MarkdownTable, "| value |\n| --- |\n"),
    ] {
        check(value, format, want);
    }
}

#[test]
fn numbers() {
    for (cell, want) in [
        (json!(0.1 + 0.2), "0.3"),
        (json!(52.520_006_612_345_67), "52.52000661234567"),
        (json!(1.0 / 3.0), "0.3333333333333333"),
    ] {
        assert_eq!(data_text(&cell), want);
    }
    for (cell, want) in [
        (json!(0.1 + 0.2), "0.3"),
        (json!(1_234.560_000_000_000_2), "1234.56"),
        (json!(1.0 / 3.0), "0.333333333333"),
        (json!(9.141_592_653_589_79), "9.14159265358979"),
        (json!(1200.0), "1200"),
        (json!(-0.0), "0"),
        (json!(1e21), "1000000000000000000000"),
        (json!(1.5e-7), "0.00000015"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!(i64::MIN), "-9223372036854775808"),
        (json!(true), "true"),
        (json!(null), ""),
        (json!({"a": [0.1 + 0.2]}), "{\"a\":[0.3]}"),
    ] {
        assert_eq!(cell_text(&cell), want);
    }
}

#[test]
fn formats_by_extension() {
    for (path, want) in [
        ("a/report.md", Some(Format::MarkdownTable)),
        ("notes.TXT", Some(Format::Text)),
        ("x.csv", Some(Format::Csv)),
        ("x.tsv", Some(Format::Tsv)),
        ("x.json", Some(Format::Json)),
        ("x.jsonl", Some(Format::JsonLines)),
        ("x.yml", Some(Format::Yaml)),
        ("x.toml", Some(Format::Toml)),
        ("a.csv/x", None),
        ("Makefile", None),
        ("x.py", None),
    ] {
        assert_eq!(detect(path), want, "{path}");
    }
}

/// Shows values as compact JSON and notes behind them.
fn check_parse(text: &str, format: Format, want: &str) {
    let got = match parse(text, format) {
        Ok(parsed) => {
            let value = match parsed.value {
                Value::Table(table) => json!([table.columns, table.rows]),
                Value::Json(json) => json,
                Value::Text(text) => json!(text),
            };
            parsed.notes.iter().fold(value.to_string(), |text, note| format!("{text} ({note})"))
        }
        Err(error) => format!("!{error}"),
    };
    let fits = want.strip_prefix('…').map_or(got == want, |part| got.contains(part));
    assert!(fits, "{format:?} of {text:?}:\n{got}\nwanted:\n{want}");
}

#[test]
fn parses() {
    for (text, format, want) in [
        ("a,b\n1,x\n2.50,\n", Format::Csv, r#"[["a","b"],[[1,"x"],[2.5,""]]]"#),
        ("id,n\n007,1\n12,n/a\n", Format::Csv, r#"[["id","n"],[["007",1],["12","n/a"]]]"#),
        (
            "a\n2025-03-01\n+4\n1e5\n-3\n-0\n.5\n1.0\n",
            Format::Csv,
            r#"[["a"],[["2025-03-01"],["+4"],["1e5"],[-3],["-0"],[".5"],[1.0]]]"#,
        ),
        (
            "a\n99999999999999999999\n0.12345678901234567\n",
            Format::Csv,
            r#"[["a"],[["99999999999999999999"],["0.12345678901234567"]]]"#,
        ),
        ("a,b\ntrue,1\nFalse,\n", Format::Csv, r#"[["a","b"],[[true,1],["False",null]]]"#),
        (
            "a,b\n1\n1,2,3\n\n4,5\n",
            Format::Csv,
            "[[\"a\",\"b\"],[[1,null],[1,2],[4,5]]] (line 2 has 1 cells, expected 2: the rest was left empty) (line 3 has 3 cells, expected 2: \"3\" was left out)",
        ),
        ("a;b\n1,5;x\n", Format::Csv, r#"[["a","b"],[["1,5","x"]]] (its cells are separated by ';')"#),
        (
            "a,,a\n1,2,3\n",
            Format::Csv,
            "[[\"a\",\"column_2\",\"a_2\"],[[1,2,3]]] (column 2 has no name in the file; it is called `column_2`) (column 3 has a name that another column has; it is called `a_2`)",
        ),
        ("t\n\"a\nb \"\"c\"\"\"\n", Format::Csv, "[[\"t\"],[[\"a\\nb \\\"c\\\"\"]]]"),
        ("a\tb\n1,5\tx\n", Format::Tsv, r#"[["a","b"],[["1,5","x"]]]"#),
        ("", Format::Csv, "!the file is empty; expected a line of column names"),
        (
            "# T\n\n| a | b |\n|---|--:|\n| x\\|y<br>z | 1 |\n",
            Format::MarkdownTable,
            "[[\"a\",\"b\"],[[\"x|y\\nz\",1]]] (the text around the table was left out)",
        ),
        ("no table", Format::MarkdownTable, "…no Markdown table"),
        (
            "| a |\n| --- |\n| 1 |\n| 2 | 3 |\n",
            Format::MarkdownTable,
            "…line 4 has 2 cells, expected 1: \"3\" was left out",
        ),
        ("{\"a\": [1, null]}", Format::Json, r#"{"a":[1,null]}"#),
        ("{\"a\": [1,\n nul]}", Format::Json, "…not valid JSON: expected ident at line 2"),
        ("{\"a\":1}\n\n{\"a\":2}\n", Format::JsonLines, r#"[{"a":1},{"a":2}]"#),
        ("{\"a\":1}\n{a}\n", Format::JsonLines, "!line 2 is not valid JSON: key must be a string at column 2"),
        ("a: 1\nb: [x, 2.5, null]\n", Format::Yaml, r#"{"a":1,"b":["x",2.5,null]}"#),
        ("1: x\ntrue: y\n", Format::Yaml, r#"{"1":"x","true":"y"}"#),
        ("a: [1\n", Format::Yaml, "…not valid YAML"),
        (
            "d = 2025-03-01\nt = 07:30:00\n[x]\ny = [1, 2.5]\n",
            Format::Toml,
            r#"{"d":"2025-03-01","t":"07:30:00","x":{"y":[1,2.5]}} (its dates and times became texts)"#,
        ),
        ("b = 1\na = 2\n[t]\nz = 1\ny = 2\n", Format::Toml, r#"{"b":1,"a":2,"t":{"z":1,"y":2}}"#),
        ("a = \n", Format::Toml, "…not valid TOML"),
        ("- a\n* b\n", Format::BulletList, "!bullet_list is not a format of data files"),
        ("any", Format::Text, r#""any""#),
    ] {
        check_parse(text, format, want);
    }
}

#[test]
fn what_is_written_can_be_read() {
    let value = table("name n ok note", json!([["x|y", 1, true, "a, \"b\""], ["z", 0.1 + 0.2, false, "line\nbreak"]]));
    let want = json!([["name", "n", "ok", "note"], [["x|y", 1, true, "a, \"b\""], ["z", 0.3, false, "line\nbreak"]]]);
    for format in [Format::Csv, Format::Tsv, Format::Json, Format::JsonLines, Format::Yaml, Format::MarkdownTable] {
        let parsed = parse(&render(&value, format).unwrap(), format).unwrap();
        let table = super::to_table(&parsed.value).unwrap();
        assert_eq!((json!([table.columns, table.rows]), parsed.notes), (want.clone(), vec![]), "{format:?}");
    }
}
