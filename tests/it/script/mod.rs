//! Programs as models write them, run in the real child over a folder of real-looking files.
//!
//! What each case in `cases/` prints and writes is what CPython prints and writes for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use partita::tool::{Context, Error, Host, NoHost, Output, Policy, Value, Workspace, script};
use serde_json::{Value as Json, json};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/script").join(name)
}

/// Every text file under `root`, by its path there.
fn files(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|(path, text)| (format!("{name}/{path}"), text)));
        } else {
            found.insert(name, std::fs::read_to_string(entry.path()).unwrap());
        }
    }
    found
}

fn workspace() -> (tempfile::TempDir, Workspace) {
    let copy = tempfile::tempdir().unwrap();
    for (path, text) in files(&folder("data")) {
        let path = copy.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let workspace = Workspace::open(copy.path(), Policy::default()).unwrap();
    (copy, workspace)
}

fn run_with(workspace: &Workspace, arguments: &Json, host: &dyn Host, limit: Duration) -> Result<Output, Error> {
    let tool = script::tool(Some(env!("CARGO_BIN_EXE_partita").into()));
    tool.call(arguments, &Context { workspace, host, deadline: Instant::now() + limit })
}

fn run(workspace: &Workspace, code: &str) -> Result<Output, Error> {
    run_with(workspace, &json!({ "code": code }), &NoHost, Duration::from_secs(60))
}

fn text(output: &Output) -> String {
    match &output.value {
        Value::Text(text) => text.clone(),
        Value::Json(json) => json.to_string(),
        Value::Table(table) => panic!("a script gives no table: {table:?}"),
    }
}

/// What a case is to print, and the lines of what it is to write.
fn wanted(case: &str) -> (String, Vec<String>) {
    let (_, tail) = case.split_once("\n#--- ").expect("every case says what it gives");
    let lines = || tail.lines().skip(1).map(|line| &line[2..]);
    let printed: Vec<&str> = lines().filter_map(|line| line.strip_prefix("> ")).collect();
    (
        printed.join("\n"),
        lines().filter(|line| !line.starts_with("> ")).map(|line| line.trim_end().to_owned()).collect(),
    )
}

#[test]
fn runs_what_models_write_as_cpython_does() {
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(folder("cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 40);
    let mut wrong = Vec::new();
    for path in cases {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let case = std::fs::read_to_string(&path).unwrap();
        let (printed, written) = wanted(&case);
        let (copy, workspace) = workspace();
        let before = files(copy.path());
        let output = match run(&workspace, &case) {
            Ok(output) => output,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        assert_eq!(files(copy.path()), before, "{name} changed the workspace while it ran");
        for change in &output.changes {
            workspace.apply(change).unwrap();
        }
        let after = files(copy.path());
        let got = text(&output);
        let same = got == printed
            || serde_json::from_str::<Json>(&printed).ok()
                == serde_json::from_str(&got).ok().filter(|_| !printed.is_empty());
        if !same {
            wrong.push(format!("{name} printed\n{got}\nbut CPython\n{printed}"));
        }
        let mut changed = Vec::new();
        for (path, text) in after.iter().filter(|(path, text)| before.get(*path) != Some(text)) {
            changed.push(format!("+ {path}"));
            changed.extend(text.split('\n').map(|line| format!("| {line}").trim_end().to_owned()));
        }
        changed.extend(before.keys().filter(|path| !after.contains_key(*path)).map(|path| format!("- {path}")));
        if changed != written {
            wrong.push(format!("{name} wrote\n{}\nbut CPython\n{}", changed.join("\n"), written.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn says_what_went_wrong_and_what_there_is() {
    let (_copy, workspace) = workspace();
    for (code, want) in [
        (
            "x = 1\nopen('sale.csv')",
            "line 2, `open('sale.csv')`: FileNotFoundError: [Errno 2] No such file or directory: 'sale.csv'; did you mean sales.csv?",
        ),
        (
            "import csv\nfor row in csv.DictReader(open('sales.csv')):\n    print(row['amount'])",
            "line 3, `print(row['amount'])`: KeyError: 'amount'; sales.csv has the columns date, region, product, units, price",
        ),
        ("print('a')\nprint(1 / 0)", "line 2, `print(1 / 0)`: ZeroDivisionError: division by zero\nprinted before: a"),
        (
            "def f():\n    yield 1\n    raise ValueError('bad')\nlist(f())",
            "line 3, `raise ValueError('bad')`: ValueError: bad",
        ),
        (
            "def f(x):\n    return x.nope\n\nf(1)",
            "line 2, `return x.nope`: AttributeError: 'int' object has no attribute 'nope'",
        ),
        ("if True\n    pass", "line 1, `if True`: SyntaxError: Expected `:`, found newline"),
        (
            "import numpy as np",
            "line 1, `import numpy as np`: ModuleNotFoundError: No module named 'numpy'; these modules can be imported: asyncio, base64, calendar, ",
        ),
        (
            "import requests",
            "line 1, `import requests`: ModuleNotFoundError: No module named 'requests'; these modules",
        ),
        (
            "class A(dict):\n    def f(self): return 1",
            "line 1, `class A(dict):`: NotImplementedError: classes cannot have a base class; use plain functions and dictionaries",
        ),
        (
            "match 1:\n    case 1: pass",
            "line 1, `match 1:`: NotImplementedError: `match` is not supported; use if and elif",
        ),
        ("open('../x')", "line 1, `open('../x')`: PermissionError: "),
        ("open('/etc/passwd')", "line 1, `open('/etc/passwd')`: PermissionError: "),
        ("open('sales.csv', 'w')", "line 1, `open('sales.csv', 'w')`: PermissionError: sales.csv is an input file"),
        (
            "import os\nos.remove('sales.csv')",
            "line 2, `os.remove('sales.csv')`: PermissionError: sales.csv was there before this script and is kept",
        ),
        ("open('notes')", "line 1, `open('notes')`: IsADirectoryError: [Errno 21] Is a directory: 'notes'"),
        ("import os\nos.system('ls')", "line 2, `os.system('ls')`: PermissionError: programs cannot be run here"),
        ("x = input('name? ')", "line 1, `x = input('name? ')`: "),
        ("print(undefined)", "line 1, `print(undefined)`: NameError: name 'undefined' is not defined"),
        ("import sys\nsys.exit('no data')", "line 2, `sys.exit('no data')`: SystemExit: no data"),
        (
            "n = 1\nflag = 2 > 1\nn = n + flag",
            "line 3, `n = n + flag`: TypeError: unsupported operand type(s) for +: 'int' and 'bool'; write int(...) around the condition",
        ),
        ("ask('why?')", "line 1, `ask('why?')`: RuntimeError: no model is attached"),
        ("print(eval('1'))", "line 1, `print(eval('1'))`: NameError: name 'eval' is not defined"),
    ] {
        let got = match run(&workspace, code) {
            Ok(output) => format!("{output:?}"),
            Err(error) => error.to_string(),
        };
        assert!(got.starts_with(want), "{code}\n---\n{got}");
    }
}

#[test]
fn bounds_what_a_program_can_use() {
    let (copy, workspace) = workspace();
    let before = files(copy.path());
    for (code, want) in [
        ("while True:\n    pass", "TimeoutError"),
        ("x = 'a' * 10 ** 10", "MemoryError"),
        ("x = [0] * 10 ** 9", "MemoryError"),
        ("x = []\nwhile True:\n    x.append('y' * 10 ** 6)", "MemoryError"),
        ("def f(n):\n    return f(n + 1)\nf(0)", "RecursionError"),
        ("x = 10 ** 10 ** 8", "Error"),
        ("import re\nre.match(r'(a+)+\\1$', 'a' * 60 + 'b')", "Error"),
        ("import glob\nwhile True:\n    glob.glob('*')", "10000 calls at most"),
        ("for i in range(10 ** 9):\n    open(f'f{i}.txt', 'w').write('x')", "changes at most"),
        ("f = open('big.txt', 'w')\nfor i in range(100):\n    f.write('x' * 10 ** 6)\n    f.flush()", "bytes at most"),
    ] {
        // A program that only time can end gets little of it; a busy machine must not end the others.
        let limit = Duration::from_secs(if want.ends_with("at most") { 120 } else { 4 });
        let started = Instant::now();
        let result = run_with(&workspace, &json!({ "code": code }), &NoHost, limit);
        let got = result.map_or_else(|error| error.to_string(), |output| format!("{output:?}"));
        assert!(got.contains(want), "{code}\n---\n{got}");
        assert!(started.elapsed() < limit + Duration::from_secs(30), "{code} took {:?}", started.elapsed());
    }
    let nested = format!("x = {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(run(&workspace, &nested[..60_000]).is_err());
    let output = run(&workspace, "for i in range(10 ** 6):\n    print('x' * 100)").unwrap();
    assert_eq!(text(&output).len(), 64 << 10);
    assert_eq!(output.notes.len(), 1, "{:?}", output.notes);
    assert_eq!(files(copy.path()), before);
}

/// Answers every question with its number of words, and keeps what is recorded.
#[derive(Default)]
struct Counter {
    batches: Mutex<Vec<usize>>,
    records: Mutex<Vec<String>>,
}

impl Host for Counter {
    fn ask(&self, questions: &[String]) -> Result<Vec<String>, Error> {
        self.batches.lock().unwrap().push(questions.len());
        Ok(questions.iter().map(|question| question.split_whitespace().count().to_string()).collect())
    }

    fn record(&self, name: &str, arguments: &Json, result: &Json) {
        self.records.lock().unwrap().push(format!("{name}{arguments} {result}"));
    }
}

#[test]
fn asks_the_host_in_batches_and_records_every_call() {
    let (_copy, workspace) = workspace();
    let code = "import glob\ntexts = [open(p).read() for p in sorted(glob.glob('notes/*.md'))]\n\
                answers = ask_each([f'How many? {t}' for t in texts])\nprint(answers, ask('one two'))\n\
                print(list(map(ask, ['a', 'b c'])), max(['x', 'y z'], key=lambda s: int(ask(s))))\n\
                with open('new.txt', 'w') as f:\n    f.write(answers[0])\n\
                rows = query('SELECT region, SUM(units) AS n FROM sales GROUP BY region ORDER BY n', 'sales.csv')\nprint(rows[0]['n'])";
    let host = Counter::default();
    let output = run_with(&workspace, &json!({ "code": code }), &host, Duration::from_secs(60)).unwrap();
    assert_eq!(text(&output), "['23', '31'] 2\n['1', '2'] y z\n4");
    assert_eq!(*host.batches.lock().unwrap(), [2, 1, 1, 1, 1, 1]);
    let records = host.records.lock().unwrap();
    for want in [
        "glob[\"notes/*.md\",false] [\"notes/ideas.md\",\"notes/meeting.md\"]",
        "read_file[\"notes/ideas.md\"] \"# Ideas",
        "ask[[\"one two\"]] [\"2\"]",
        "open_file[\"new.txt\",\"w\"] \"\"",
        "write_file[\"new.txt\",\"23\"] null",
        "query[\"SELECT region",
    ] {
        assert!(records.iter().any(|record| record.starts_with(want)), "{want} in {records:?}");
    }
}

#[test]
fn loads_tables_with_their_types_and_lines_without_blanks() {
    let (_copy, workspace) = workspace();
    let code = "sales = table('sales.csv')\nprint(len(sales), sum(r['units'] * r['price'] for r in sales if r['region'] == 'East'))\n\
                print(lines('notes/ideas.md')[1])\ntable('notes/ideas.md')";
    let error =
        run_with(&workspace, &json!({ "code": code }), &Counter::default(), Duration::from_secs(60)).unwrap_err();
    assert!(error.to_string().starts_with("line 4"), "{error}");
    let code = code.rsplit_once('\n').unwrap().0;
    let output = run_with(&workspace, &json!({ "code": code }), &Counter::default(), Duration::from_secs(60)).unwrap();
    assert_eq!(text(&output), "8 439.5\n- [ ] write a guide");
}

#[test]
fn takes_inputs_and_gives_values() {
    let (_copy, workspace) = workspace();
    for (arguments, want) in [
        (
            json!({ "code": "print(sum(r['n'] for r in rows), name)", "inputs": { "rows": [{ "n": 1 }, { "n": 2.5 }], "name": "x" } }),
            Ok("3.5 x"),
        ),
        (json!({ "code": "```python\nprint('fenced')\n```" }), Ok("fenced")),
        (json!({ "code": "{'a': [1, 2.5, None, True], 'b': (1, 'x')}" }), Ok(r#"{"a":[1,2.5,null,true],"b":[1,"x"]}"#)),
        (json!({ "code": "result = 0.1 + 0.2" }), Ok("0.3")),
        (json!({ "code": "result = 'text'" }), Ok("text")),
        (
            json!({ "code": "from datetime import date\nresult = [date(2024, 1, 2), {1: 2}]" }),
            Ok(r#"["2024-01-02",{"1":2}]"#),
        ),
        (json!({ "code": "import json\nprint(json.dumps([{'a': 1}]))" }), Ok(r#"[{"a":1}]"#)),
        (json!({ "code": "x = 1" }), Ok("")),
        (json!({ "code": "open('a.txt', 'w').write('x'); None" }), Ok("")),
        (json!({ "code": "" }), Ok("")),
        (json!({}), Err("`code` is null; expected the text of a program")),
        (json!({ "code": "1", "inputs": { "a b": 1 } }), Err("`a b` cannot be the name of a variable")),
    ] {
        let result = run_with(&workspace, &arguments, &NoHost, Duration::from_secs(60));
        match (result, want) {
            (Ok(output), Ok(want)) => assert_eq!(text(&output), want, "{arguments}"),
            (Err(error), Err(want)) => assert_eq!(error.to_string(), want, "{arguments}"),
            (result, _) => panic!("{arguments}: {result:?}"),
        }
    }
}

#[test]
fn the_child_says_nothing_to_strangers() {
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_partita")).arg(script::ARGUMENT).output().unwrap();
    assert!(!child.status.success());
    assert!(child.stdout.is_empty());
    let (_copy, workspace) = workspace();
    let tool = script::tool(Some("/bin/true".into()));
    let context = Context { workspace: &workspace, host: &NoHost, deadline: Instant::now() + Duration::from_secs(5) };
    assert!(tool.call(&json!({ "code": "1" }), &context).is_err());
}
