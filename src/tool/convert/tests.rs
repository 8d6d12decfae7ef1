//! Tables: pairs of formats, and what is said about losses.

use serde_json::json;

use super::super::call::testing::{check, workspace};

#[test]
fn converts() {
    let (_folder, workspace) = workspace(&[
        ("a.csv", b"id,name,price,day\n007,Ann,1.50,2025-03-01\n012,\"B, C\",2,\n"),
        ("n.json", b"[{\"a\": 1, \"b\": {\"c\": [1, 2]}}, {\"a\": null, \"b\": \"x\"}]"),
        ("l.jsonl", b"{\"x\": 1.0}\n{\"x\": true}\n"),
        ("y.yaml", b"title: T\nlist:\n  - a\n  - 2\n"),
        ("t.toml", b"title = \"T\"\n[owner]\ndob = 1979-05-27\n"),
        ("m.md", b"# Head\n\n| a | b |\n| - | --- |\n| 1 | x\\|y |\n"),
        ("m2.md", b"| a | b |\n|---|---|\n| 1 | x\\|y |\n"),
        ("bad.csv", b"a,b\n1\n2,3\n"),
        ("semi.csv", b"a;b\n1;2\n"),
        ("data", b"[1]"),
        ("bad.json", b"{"),
    ]);
    for (arguments, want) in [
        (
            json!({"from": "a.csv", "to": "o.json"}),
            "o.json -> o.json: [\n  {\n    \"id\": \"007\",\n    \"name\": \"Ann\",\n    \"price\": 1.5,\n    \"day\": \"2025-03-01\"\n  },\n  {\n    \"id\": \"012\",\n    \"name\": \"B, C\",\n    \"price\": 2,\n    \"day\": \"\"\n  }\n]\n",
        ),
        (
            json!({"from": "a.csv", "to": "o.md"}),
            "o.md -> o.md: | id | name | price | day |\n| --- | --- | ---: | --- |\n| 007 | Ann | 1.5 | 2025-03-01 |\n| 012 | B, C | 2 |  |\n",
        ),
        (
            json!({"from": "n.json", "to": "o.csv"}),
            "o.csv (1 nested values were written as JSON text) (nulls were written as empty cells) -> o.csv: a,b\n1,\"{\"\"c\"\":[1,2]}\"\n,x\n",
        ),
        (
            json!({"from": "n.json", "to": "o.jsonl"}),
            "o.jsonl -> o.jsonl: {\"a\":1,\"b\":{\"c\":[1,2]}}\n{\"a\":null,\"b\":\"x\"}\n",
        ),
        (
            json!({"from": "n.json", "to": "o.toml"}),
            "o.toml (nulls were left out, because TOML has none) -> o.toml: [[rows]]\na = 1\n\n[rows.b]\nc = [\n    1,\n    2,\n]\n\n[[rows]]\nb = \"x\"\n",
        ),
        (
            json!({"from": "l.jsonl", "to": "o.json"}),
            "o.json -> o.json: [\n  {\n    \"x\": 1.0\n  },\n  {\n    \"x\": true\n  }\n]\n",
        ),
        (json!({"from": "l.jsonl", "to": "o.tsv"}), "o.tsv -> o.tsv: x\n1\ntrue\n"),
        (
            json!({"from": "y.yaml", "to": "o.json"}),
            "o.json -> o.json: {\n  \"title\": \"T\",\n  \"list\": [\n    \"a\",\n    2\n  ]\n}\n",
        ),
        (
            json!({"from": "y.yaml", "to": "o.toml"}),
            "o.toml -> o.toml: title = \"T\"\nlist = [\n    \"a\",\n    2,\n]\n",
        ),
        (
            json!({"from": "t.toml", "to": "o.yml"}),
            "o.yml (its dates and times became texts) -> o.yml: title: T\nowner:\n  dob: 1979-05-27\n",
        ),
        (json!({"from": "m2.md", "to": "o.csv"}), "o.csv -> o.csv: a,b\n1,x|y\n"),
        (json!({"from": "m.md", "to": "o.csv"}), "…(the text around the table was left out)"),
        (json!({"from": "bad.csv", "to": "o.json"}), "…line 2 has 1 cells, expected 2: the rest was left empty"),
        (json!({"from": "semi.csv", "to": "o.tsv"}), "o.tsv (its cells are separated by ';') -> o.tsv: a\tb\n1\t2\n"),
        (
            json!({"from": "data", "to": "o.csv"}),
            "!convert: the name data does not tell its format; give from_format: csv, tsv, json, jsonl, yaml, toml, markdown",
        ),
        (json!({"from": "data", "to": "o.csv", "from_format": "json"}), "o.csv -> o.csv: value\n1\n"),
        (json!({"from": "a.csv", "to": "o.txt", "to_format": "markdown"}), "…o.txt -> o.txt: | id |"),
        (json!({"from": "a.csv", "to": "o.txt"}), "…the name o.txt does not tell its format; give to_format"),
        (json!({"from": "a.csv", "to": "o.x", "to_format": "xml"}), "…to_format must be one of csv, tsv, json"),
        (json!({"from": "bad.json", "to": "o.csv"}), "…bad.json: the file is not valid JSON: EOF"),
        (json!({"from": "a.csv", "to": "bad.csv"}), "!bad.csv is an input file; write to another name"),
        (json!({"from": "b.csv", "to": "o.json"}), "!b.csv does not exist"),
    ] {
        check(&workspace, "convert", arguments, want);
    }
}
