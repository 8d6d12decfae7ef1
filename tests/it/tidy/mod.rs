//! What must never happen in this code base, checked: imports up the rows, files and functions too long to
//! read, unsafe or async code out of its place, files without a header, names that say nothing,
//! dependencies that crept in.
//!
//! A rule that stands in the way is changed here, in the open, with its reason.

mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use source::Source;

/// `(module, row)`: a module imports only modules of lower rows.
const ROWS: [(&str, u32); 17] = [
    ("types", 0),
    ("kernel", 1),
    ("gguf", 1),
    ("catalog", 1),
    ("store", 1),
    ("tokenizer", 2),
    ("cache", 2),
    ("tool", 2),
    ("layer", 3),
    ("sample", 3),
    ("schedule", 3),
    ("model", 4),
    ("engine", 5),
    ("memory", 6),
    ("orchestrate", 7),
    ("bench", 8),
    ("cli", 10),
];

/// Lines that hold code; comments, blank lines and tests do not count.
const MAX_FILE_LINES: usize = 600;
const MAX_FUNCTION_LINES: usize = 70;
/// `self` does not count.
const MAX_PARAMETERS: usize = 5;

/// Files of pure data, exempt from [`MAX_FILE_LINES`].
const DATA_FILES: [&str; 0] = [];

/// Where a file or folder may hold `unsafe`.
const UNSAFE: [&str; 2] = ["src/kernel/", "src/gguf/map.rs"];

/// Where a file or folder may hold `async` and `.await`. The hub and the bench of an endpoint are among them because the
/// HTTP client is async; nothing outside these files sees it.
const ASYNC: [&str; 6] =
    ["src/cli/", "src/server/", "src/tool/", "src/orchestrate/driver", "src/catalog/hub.rs", "src/bench/endpoint.rs"];

/// Words that name no responsibility.
const EMPTY_NAMES: [&str; 9] = ["util", "utils", "common", "helper", "helpers", "manager", "base", "misc", "utilities"];

/// What the top folder holds besides dotfiles.
const TOP: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "models",
    "benches",
    "tests",
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
];

/// Packages in `Cargo.lock`, this one included.
const N_PACKAGES: usize = 588;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("reading {path}: {error}"))
}

/// Every file under a folder, relative to the root, with `/` between names.
fn files_under(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join(folder)).into_iter().flatten() {
        let entry = entry.expect("a readable folder");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files_under(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let files = ["src", "tests", "benches"].into_iter().flat_map(files_under);
    files.filter(|path| path.ends_with(".rs")).map(|path| Source::parse(&path, &read(&path))).collect()
}

/// Applies a rule to every source file; the failing test lists all offences at once.
fn check_all(rule: impl Fn(&Source) -> Vec<String>) {
    let sources = sources();
    assert!(sources.len() > 30, "only {} source files were found", sources.len());
    let offences: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(offences.is_empty(), "{} offences:\n{}\n", offences.len(), offences.join("\n"));
}

/// Applies a rule to one made-up file.
fn check(rule: impl Fn(&Source) -> Vec<String>, path: &str, text: &str, want: &[&str]) {
    assert_eq!(rule(&Source::parse(path, text)), want, "{path}:\n{text}");
}

fn row(module: &str) -> Option<u32> {
    ROWS.iter().find(|(name, _)| *name == module).map(|(_, row)| *row)
}

fn is_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

// -- rows ------------------------------------------------------------------------------------------

fn imports_go_down(source: &Source) -> Vec<String> {
    let Some(own) = source.module() else { return Vec::new() };
    let Some(own_row) = row(own) else { return vec![format!("{}: module `{own}` has no row", source.path)] };
    let is_wrong = |module: &str| module != own && row(module).is_none_or(|row| row >= own_row);
    let offence = |line, module: &str| match row(module) {
        Some(row) => format!("{}:{line}: `{own}` (row {own_row}) imports `{module}` (row {row})", source.path),
        None => format!("{}:{line}: `{own}` names `crate::{module}`, which has no row", source.path),
    };
    source.imports.iter().filter(|(_, name)| is_wrong(name)).map(|(line, name)| offence(*line, name)).collect()
}

#[test]
fn every_module_imports_only_lower_rows() {
    check_all(imports_go_down);
}

#[test]
fn an_import_up_or_across_the_rows_is_seen() {
    let up = ["src/cache/tree.rs:1: `cache` (row 2) imports `engine` (row 5)"];
    for text in [
        "use crate::engine::Engine;",
        "use crate::{types::Token, engine};",
        "fn f() { x!(crate::engine::stop()); }",
        "use super::super::engine;",
        "mod a { use super::super::super::engine; }",
    ] {
        check(imports_go_down, "src/cache/tree.rs", text, &up);
    }
    for text in [
        "//! [`crate::engine`]",
        "// crate::engine\nconst S: &str = \"crate::engine\";",
        "use super::engine;",
        "use crate::{types::Token, gguf::{self, engine}};",
        "use crate::cache::block;",
    ] {
        check(imports_go_down, "src/cache/tree.rs", text, &[]);
    }
    check(
        imports_go_down,
        "src/cache/mod.rs",
        "use super::tool;",
        &["src/cache/mod.rs:1: `cache` (row 2) imports `tool` (row 2)"],
    );
    check(
        imports_go_down,
        "src/cache/mod.rs",
        "use crate::nowhere;",
        &["src/cache/mod.rs:1: `cache` names `crate::nowhere`, which has no row"],
    );
    check(
        imports_go_down,
        "src/cache/mod.rs",
        "use super::*;",
        &["src/cache/mod.rs:1: `cache` names `crate::*`, which has no row"],
    );
    check(imports_go_down, "src/extra.rs", "", &["src/extra.rs: module `extra` has no row"]);
}

#[test]
fn the_map_in_lib_rs_is_the_table_above() {
    let lib = read("src/lib.rs");
    let mapped = lib.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("//! | ")?.split(" | ");
        let row: u32 = cells.next()?.parse().ok()?;
        Some((cells.next()?.trim_matches(['[', ']', '`']).trim_start_matches("mod@"), row))
    });
    assert_eq!(mapped.collect::<Vec<_>>(), ROWS);
    let declared: BTreeSet<_> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(declared, ROWS.map(|(name, _)| name).into());
}

// -- sizes -----------------------------------------------------------------------------------------

fn files_are_short(source: &Source) -> Vec<String> {
    let n = source.n_code_lines;
    let is_long = !source.is_test() && n > MAX_FILE_LINES && !DATA_FILES.contains(&source.path.as_str());
    is_long.then(|| format!("{}: {n} code lines, at most {MAX_FILE_LINES}", source.path)).into_iter().collect()
}

fn functions_are_short(source: &Source) -> Vec<String> {
    let long = source.functions.iter().filter(|function| !function.is_test && function.n_lines > MAX_FUNCTION_LINES);
    long.map(|f| {
        format!("{}:{}: `{}` has {} code lines, at most {MAX_FUNCTION_LINES}", source.path, f.line, f.name, f.n_lines)
    })
    .collect()
}

fn parameters_are_few(source: &Source) -> Vec<String> {
    let many = source.functions.iter().filter(|function| function.n_parameters > MAX_PARAMETERS);
    many.map(|f| {
        format!(
            "{}:{}: `{}` takes {} parameters, at most {MAX_PARAMETERS}",
            source.path, f.line, f.name, f.n_parameters
        )
    })
    .collect()
}

#[test]
fn files_and_functions_can_be_read_at_a_sitting() {
    check_all(|source| [files_are_short(source), functions_are_short(source), parameters_are_few(source)].concat());
}

#[test]
fn what_is_too_long_is_seen() {
    let lines = |n: usize| "    x();\n".repeat(n);
    let function = |n: usize| {
        format!(
            "//! a\n\n/// doc\npub fn f<'a, T: Fn(u8, u8) -> u8>(\n    t: T,\n) -> u8 {{\n    // why\n\n{}}}\n",
            lines(n)
        )
    };
    check(functions_are_short, "src/types.rs", &function(66), &[]);
    check(functions_are_short, "src/types.rs", &function(67), &["src/types.rs:4: `f` has 71 code lines, at most 70"]);
    check(functions_are_short, "src/types.rs", &format!("#[cfg(test)]\nmod tests {{\n{}}}", function(99)), &[]);
    check(functions_are_short, "src/store/tests.rs", &function(99), &[]);
    let long = format!("fn f() {{\n{}}}\n", lines(599));
    check(files_are_short, "src/types.rs", &long, &["src/types.rs: 601 code lines, at most 600"]);
    check(files_are_short, "src/types.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}"), &[]);
    check(
        parameters_are_few,
        "src/types.rs",
        "fn f(&self, a: A<u8, u8>, b: fn(u8, u8) -> u8, c: [u8; 2], d: (u8, u8), e: u8,) {}",
        &[],
    );
    let six = "trait T { fn g(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8); }";
    check(parameters_are_few, "src/types.rs", six, &["src/types.rs:1: `g` takes 6 parameters, at most 5"]);
}

// -- places ----------------------------------------------------------------------------------------

/// One offence for a file: its first line, and how many more there are.
fn misplaced(source: &Source, word: &str, lines: &[usize], places: &[&str]) -> Vec<String> {
    let Some(first) = lines.first().filter(|_| !is_in(&source.path, places)) else { return Vec::new() };
    let n_more = lines.len() - 1;
    vec![format!("{}:{first} and {n_more} more: `{word}` outside {}", source.path, places.join(", "))]
}

fn unsafe_has_its_place(source: &Source) -> Vec<String> {
    misplaced(source, "unsafe", &source.unsafe_lines, &UNSAFE)
}

fn async_has_its_place(source: &Source) -> Vec<String> {
    if source.module().is_none() { Vec::new() } else { misplaced(source, "async", &source.async_lines, &ASYNC) }
}

#[test]
fn unsafe_and_async_stay_in_their_places() {
    check_all(|source| [unsafe_has_its_place(source), async_has_its_place(source)].concat());
}

#[test]
fn unsafe_and_async_are_seen() {
    let text = "fn f() {\n    unsafe { g() }\n}\n// unsafe\nasync fn h() {}\n";
    check(
        unsafe_has_its_place,
        "src/store/mod.rs",
        text,
        &["src/store/mod.rs:2 and 0 more: `unsafe` outside src/kernel/, src/gguf/map.rs"],
    );
    check(unsafe_has_its_place, "src/kernel/dot.rs", text, &[]);
    check(async_has_its_place, "src/tool/mod.rs", text, &[]);
    assert_eq!(async_has_its_place(&Source::parse("src/engine/mod.rs", text)).len(), 1);
}

// -- names and headers -----------------------------------------------------------------------------

fn files_have_a_header(source: &Source) -> Vec<String> {
    let header: Vec<&str> = source.text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let offence = match header.first() {
        None => "starts without a `//!` header",
        Some(first) if first.trim().len() < 12 => "has a header that says nothing",
        Some(_) => return Vec::new(),
    };
    vec![format!("{}: {offence}", source.path)]
}

fn names_say_something(source: &Source) -> Vec<String> {
    let stem = source.path.trim_end_matches(".rs");
    let empty = stem.split(['/', '_']).find(|word| EMPTY_NAMES.contains(word));
    empty.map(|word| format!("{}: `{word}` names no responsibility", source.path)).into_iter().collect()
}

#[test]
fn every_file_says_what_it_is_for() {
    check_all(|source| [files_have_a_header(source), names_say_something(source)].concat());
}

#[test]
fn empty_headers_and_names_are_seen() {
    check(files_have_a_header, "src/a.rs", "fn f() {}", &["src/a.rs: starts without a `//!` header"]);
    check(files_have_a_header, "src/a.rs", "//!\n//! Later.", &["src/a.rs: has a header that says nothing"]);
    check(names_say_something, "src/store/util.rs", "", &["src/store/util.rs: `util` names no responsibility"]);
    check(
        names_say_something,
        "src/cache/block_manager/mod.rs",
        "",
        &["src/cache/block_manager/mod.rs: `manager` names no responsibility"],
    );
    check(names_say_something, "src/cache/baseline.rs", "", &[]);
}

// -- the crate -------------------------------------------------------------------------------------

#[test]
fn dependencies_are_counted() {
    let n = read("Cargo.lock").lines().filter(|line| *line == "[[package]]").count();
    assert_eq!(
        n, N_PACKAGES,
        "Cargo.lock holds {n} packages and N_PACKAGES in tests/it/tidy/mod.rs says {N_PACKAGES}. Everyone who builds pays \
         for a package: if the new ones are worth it (see `cargo tree`), set the number and say why in the commit"
    );
}

#[test]
fn every_dependency_says_what_it_saves() {
    let manifest = read("Cargo.toml");
    let mut in_dependencies = false;
    let mut n_dependencies = 0;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if in_dependencies && line.contains('=') && !line.starts_with('#') {
            n_dependencies += 1;
            assert!(line.contains("# "), "no comment in Cargo.toml says what this dependency saves: {line}");
        }
    }
    assert!(n_dependencies > 10, "only {n_dependencies} dependencies were found in Cargo.toml");
}

#[test]
fn the_top_folder_holds_what_it_should() {
    let strangers: Vec<String> =
        tracked_at_top().into_iter().filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str())).collect();
    assert!(strangers.is_empty(), "the top folder holds {strangers:?}; it has room for {TOP:?} and dotfiles");
    for name in ["Cargo.toml", "src", "tests", "README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", ".ci/run"]
    {
        assert!(Path::new(&root().join(name)).exists(), "{name} is missing");
    }
}

/// Names at the top that are part of the project: as git sees it, or without git all but build output.
fn tracked_at_top() -> BTreeSet<String> {
    let listed =
        std::process::Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(root()).output();
    match listed {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().filter_map(|path| path.split('/').next().map(str::to_owned)).collect()
        }
        _ => {
            let entries = std::fs::read_dir(root()).expect("the top folder");
            let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
            names.filter(|name| name != "target").collect()
        }
    }
}
