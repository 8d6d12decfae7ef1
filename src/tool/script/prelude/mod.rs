//! The Python that stands in for what the interpreter lacks, and an index of the names in it.
//!
//! A file `x.py` that defines `_mod_x` is a whole module; otherwise every `_x_name` in it adds `name` to
//! the interpreter's own module. `_m_name` in `base.py` adds a method. So a new function is one definition
//! in the Python file, and nothing here changes.
//!
//! Must not know: the interpreter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Fed before every script.
pub(super) const BASE: &str = include_str!("base.py");

const MODULES: [(&str, &str); 23] = [
    ("calendar", include_str!("calendar.py")),
    ("collections", include_str!("collections.py")),
    ("copy", include_str!("copy.py")),
    ("csv", include_str!("csv.py")),
    ("datetime", include_str!("datetime.py")),
    ("decimal", include_str!("decimal.py")),
    ("functools", include_str!("functools.py")),
    ("glob", include_str!("glob.py")),
    ("io", include_str!("io.py")),
    ("itertools", include_str!("itertools.py")),
    ("json", include_str!("json.py")),
    ("math", include_str!("math.py")),
    ("operator", include_str!("operator.py")),
    ("os", include_str!("os.py")),
    ("pprint", include_str!("pprint.py")),
    ("random", include_str!("random.py")),
    ("re", include_str!("re.py")),
    ("shutil", include_str!("shutil.py")),
    ("statistics", include_str!("statistics.py")),
    ("string", include_str!("string.py")),
    ("sys", include_str!("sys.py")),
    ("textwrap", include_str!("textwrap.py")),
    ("time", include_str!("time.py")),
];

/// Modules that the interpreter has of its own and the prelude does not touch.
const OWN: [&str; 6] = ["pathlib", "typing", "dataclasses", "base64", "unicodedata", "asyncio"];

/// Python of a module, if the prelude has some.
pub(super) fn source(module: &str) -> Option<&'static str> {
    MODULES.iter().find(|(name, _)| *name == module).map(|(_, source)| *source)
}

/// Names of every module that a script can import.
pub(super) fn modules() -> Vec<&'static str> {
    let mut names: Vec<&str> = MODULES.iter().map(|(name, _)| *name).chain(OWN).collect();
    names.sort_unstable();
    names
}

/// Whether the prelude has the whole module.
pub(super) fn is_whole(module: &str) -> bool {
    source(module).is_some_and(|source| source.contains(&format!("class _mod_{module}:")))
}

/// Whether the prelude adds `name` to a module that the interpreter has.
pub(super) fn adds(module: &str, name: &str) -> bool {
    ADDED.get(module).is_some_and(|names| names.contains(name))
}

/// Whether the prelude has a method of that name.
pub(super) fn adds_method(name: &str) -> bool {
    ADDED["m"].contains(name)
}

/// Names behind `_module_` at the start of a line, per module; methods under `m`.
static ADDED: LazyLock<BTreeMap<&'static str, BTreeSet<&'static str>>> = LazyLock::new(|| {
    let of = |prefix: String, source: &'static str| {
        let name = move |line: &'static str| {
            let line = line.strip_prefix("def ").or_else(|| line.strip_prefix("class ")).unwrap_or(line);
            let name = line.strip_prefix(&prefix)?;
            Some(&name[..name.find(|c: char| !c.is_alphanumeric() && c != '_')?])
        };
        source.lines().filter_map(name).collect::<BTreeSet<_>>()
    };
    let partial = MODULES.iter().filter(|(module, _)| !is_whole(module));
    let mut added: BTreeMap<_, _> =
        partial.map(|(module, source)| (*module, of(format!("_{module}_"), source))).collect();
    added.insert("m", of("_m_".to_owned(), BASE));
    added.insert("abc", of("_abc_".to_owned(), source("collections").unwrap_or_default()));
    added
});
