//! Tables: paths over one value, in every format of file.

use serde_json::json;

use super::super::call::testing::{check, workspace};

const STAFF: &str = r#"{
  "rates": {"anna": 90.5, "bo b": 70, "a.b": 1},
  "items": [{"n": 1, "tags": ["x", "y"]}, {"n": 2}, {"m": 3}],
  "years": {"2025": "now"}, "empty": {}, "none": null
}"#;

#[test]
fn follows_paths() {
    let (_folder, workspace) = workspace(&[("s.json", STAFF.as_bytes())]);
    for (query, want) in [
        ("rates.anna", "90.5"),
        ("$.rates.anna", "90.5"),
        ("/rates/anna", "90.5"),
        ("/items/0/tags/1", "\"y\""),
        ("rates[\"bo b\"]", "70"),
        ("rates['a.b']", "1"),
        ("rates.bo b", "70"),
        ("items[0].tags[1]", "\"y\""),
        ("items.1.n", "2"),
        ("items[-1].m", "3"),
        ("items[*].n", "[1,2] (1 items have no such value)"),
        ("items[].n", "[1,2] (1 items have no such value)"),
        ("items[0].tags[*]", "[\"x\",\"y\"]"),
        ("rates.*", "[90.5,70,1]"),
        ("years[2025]", "\"now\""),
        ("years.2025", "\"now\""),
        ("none", "null"),
        ("$", "…{\"rates\":{\"anna\":90.5"),
        ("rate.anna", "!there is no key \"rate\" in the file, which has the keys rates, items, years, empty, none"),
        ("rates.carl", "!there is no key \"carl\" in rates, which has the keys anna, bo b, a.b"),
        ("items[3]", "!there is no item [3] in items, which is an array of 3 items"),
        ("items[-4]", "!there is no item [-4] in items, which is an array of 3 items"),
        ("items.first", "!there is no key \"first\" in items, which is an array of 3 items"),
        ("items[0].n.x", "!there is no key \"x\" in items[0].n, which is 1"),
        ("items[*].q", "!there is no key \"q\" in items[0], which has the keys n, tags"),
        ("rates.anna[*]", "!there is no list for [*] in rates.anna, which is 90.5"),
        ("empty.x", "!there is no key \"x\" in empty, which is an empty object"),
        ("a..b", "…a name is missing after a dot"),
        ("a[0", "…a ] is missing"),
        ("a[b]", "…[b] is not an index; quote keys, as in [\"b\"]"),
        ("a[\"b", "…\"] is missing"),
    ] {
        check(&workspace, "json_get", json!({"path": "s.json", "query": query}), want);
    }
}

#[test]
fn reads_other_formats() {
    let (_folder, workspace) = workspace(&[
        ("a.jsonl", b"{\"n\":1}\n{\"n\":2}\n"),
        ("a.yaml", b"x:\n  - y: 3\n"),
        ("a.toml", b"[x]\ny = 4\n"),
        ("a.csv", b"k,v\nq,5\n"),
        ("config", b"{\"z\":6}"),
        ("bad.json", b"{\"z\":}"),
        ("a.txt", b"{\"z\":7}"),
    ]);
    for (path, query, want) in [
        ("a.jsonl", "[*].n", "[1,2]"),
        ("a.yaml", "x[0].y", "3"),
        ("a.toml", "x.y", "4"),
        ("a.csv", "[0].v", "5"),
        ("config", "z", "6"),
        ("a.txt", "z", "7"),
        ("bad.json", "z", "…bad.json: the file is not valid JSON: expected value at line 1 column 6"),
        ("gone.json", "z", "…gone.json does not exist"),
    ] {
        check(&workspace, "json_get", json!({"path": path, "query": query}), want);
    }
}
