//! Tables: every format by every kind of value.

use serde_json::{Value as Json, json};

use super::{Format, Table, Value, cell_text, detect, render};

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
