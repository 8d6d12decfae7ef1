//! A grammar of the useful part of SQLite's SELECT, in llguidance's dialect of Lark, over given tables.
//!
//! Tables and columns are enumerations, so a model under the grammar cannot name one that does not exist.
//! What a query itself names (`AS total`) is free where only such a name makes sense: in GROUP BY, HAVING
//! and ORDER BY, and everywhere behind a WITH, whose tables are the query's own. So the rules come in two
//! families, `strict` and `free`. Keywords are upper-case and own names lower-case, which keeps them apart.
//! One blank or line break where SQL wants space, none elsewhere; `;` ends the query, and nothing follows.
//!
//! Must not know: models, tokens.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::TableInfo;
use super::function::{FUNCTIONS, Kind};
use super::token::{KEYWORDS, spell};

/// Longest name that a query may make up.
const MAX_OWN_NAME: usize = 30;
/// Longest text in a query.
const MAX_TEXT: usize = 80;

/// What a query may do, where it is known what its result is for: models like to add what nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Some rows of many are wanted: `LIMIT`.
    pub may_limit: bool,
    /// A row per group is wanted: `GROUP BY`.
    pub may_group: bool,
    /// Some rows do not count: `WHERE`.
    pub may_filter: bool,
    /// The damaged rows are of interest, which stand in tables of their own.
    pub of_damaged: bool,
}

/// The grammar of one SELECT over `tables`, which must not be empty. Its first rule is `start`.
pub fn grammar(tables: &[TableInfo]) -> String {
    grammar_of(tables, Shape { may_limit: true, may_group: true, may_filter: true, of_damaged: true })
}

/// As [`grammar_of`] without any leave, but rows are wanted as they are, with every column: nothing is computed or joined.
pub fn grammar_of_whole_rows(tables: &[TableInfo]) -> String {
    let whole =
        "start: \"SELECT\" WS \"*\" WS \"FROM\" WS table (WS \"WHERE\" WS expr_strict)? (WS order_strict)? \";\"\n";
    let grammar = grammar_of(tables, Shape { may_limit: false, may_group: false, may_filter: true, of_damaged: false });
    grammar.replacen("start: query \";\"\n", whole, 1)
}

/// As [`grammar`], for results of a certain shape.
pub fn grammar_of(tables: &[TableInfo], shape: Shape) -> String {
    let mut text = String::from("start: query \";\"\n");
    text.push_str(&TERMINALS.replace('~', " WS "));
    text.push_str("join_select: \"UNION\" (WS \"ALL\")? | \"INTERSECT\" | \"EXCEPT\"\n");
    let reserved = KEYWORDS.map(str::to_ascii_lowercase).join("|");
    _ = writeln!(text, "OWN: /[a-z_][a-z0-9_]{{0,{MAX_OWN_NAME}}}/ & ~/{reserved}/");
    _ = writeln!(text, "TEXT: /'([^'\\n]|''){{0,{MAX_TEXT}}}'/");
    functions(&mut text);
    let names = Names::of(tables, shape.of_damaged);
    names.rules(&mut text);
    text.push_str(&family("strict", &names.strict_column(), ""));
    text.push_str(&family("free", "COLUMN | qualified_strict | OWN | OWN \".\" COLUMN | OWN \".\" OWN", "| OWN"));
    if !shape.may_limit {
        text = text.replace(" ( WS \"LIMIT\" WS COUNT)?", "");
    }
    if !shape.may_filter {
        text = text.replace(" ( WS \"WHERE\" WS expr_strict)?", "").replace(" ( WS \"WHERE\" WS expr_free)?", "");
    }
    if !shape.may_group {
        text = text.replace(" ( WS group_strict)?", "").replace(" ( WS group_free)?", "");
    }
    text
}

/// What both families share; `~` stands for [`WS`](TERMINALS).
///
/// The lexer is greedy: a terminal must not be the start of another one that can stand in its place, unless
/// what follows tells them apart at once. So no terminal holds a blank, and blanks are terminals themselves.
const TERMINALS: &str = r#"
query: select_strict | "WITH"~OWN~"AS"~"(" BREAK? select_strict BREAK? ")" ("," WS OWN~"AS"~"(" BREAK? select_free BREAK? ")")* WS select_free
WS: / |\n {0,8}/
BREAK: /\n {0,8}/
NUMBER: /[0-9]{1,12}(\.[0-9]{1,6})?/
COUNT: /[0-9]{1,6}/
COMPARE: "=" | "<>" | "!=" | "<=" | ">=" | "<" | ">"
PLUS: "+" | "-" | "||"
TIMES: "*" | "/" | "%"
TYPE: "INTEGER" | "REAL" | "TEXT" | "NUMERIC" | "INT" | "FLOAT" | "DECIMAL"
DIRECTION: "ASC" | "DESC"
"#;

/// The rules of SELECT and of expressions; chains of conditions are bounded, because small models find no end to them. With `@` for the name of the family. `COLUMNS` is what names a
/// column, `SOURCES` what FROM takes besides the tables.
const FAMILY: &str = r#"
select_@: core_@ (~join_select~core_@)* (~order_@)? (~"LIMIT"~COUNT)?
core_@: "SELECT" (~"DISTINCT")?~item_@ ("," WS item_@)*~"FROM"~source_@ join_@* (~"WHERE"~expr_@)? (~group_@)?
item_@: "*" | expr_@ (~"AS"~OWN)?
source_@: table SOURCES
join_@: ~(("INNER" | "LEFT" | "CROSS")~)? "JOIN"~source_@ (~"ON"~expr_@ | ~"USING"~"(" COLUMN ")")?
group_@: "GROUP"~"BY"~term_@ ("," WS term_@)* (~"HAVING"~having_@)?
having_@: expr_@ | OWN~COMPARE~sum_@ | OWN~"BETWEEN"~sum_@~"AND"~sum_@
order_@: "ORDER"~"BY"~sort_@ ("," WS sort_@)*
sort_@: term_@ (~DIRECTION)? (~"NULLS"~("LAST" | "FIRST"))?
term_@: sum_@ | OWN
expr_@: and_@ (~"OR"~and_@){0,6}
and_@: not_@ (~"AND"~not_@){0,6}
not_@: ("NOT"~)? test_@
test_@: sum_@ | sum_@~COMPARE~sum_@ | sum_@~"IS"~("NOT"~)? "NULL" | sum_@~"REGEXP"~TEXT
  | sum_@~("NOT"~)? ("LIKE"~sum_@ | "BETWEEN"~sum_@~"AND"~sum_@ | "IN"~"(" (sum_@ ("," WS sum_@){0,12} | select_@) ")")
  | "EXISTS"~"(" select_@ ")"
sum_@: product_@ (~PLUS~product_@)*
product_@: factor_@ (~TIMES~factor_@)*
factor_@: "-"? atom_@
atom_@: column_@ | NUMBER | TEXT | "NULL" | "(" expr_@ ")" | "(" select_@ ")" | call_@ | case_@ | "CAST" "(" expr_@~"AS"~TYPE ")"
column_@: COLUMNS
case_@: "CASE" (~sum_@)? (~"WHEN"~expr_@~"THEN"~expr_@)+ (~"ELSE"~expr_@)?~"END"
call_@: scalar_@ | aggregate_@ (~"FILTER"~"(" "WHERE"~expr_@ ")")? (~over_@)? | window_@~over_@
aggregate_@: /(?i:count)/ "(" "*" ")" | AGGREGATE "(" ("DISTINCT"~)? expr_@ ")" | AGGREGATE2 "(" ("DISTINCT"~)? expr_@ "," WS TEXT ")"
over_@: "OVER"~"(" (partition_@ (~frame_@)? | frame_@)? ")"
partition_@: "PARTITION"~"BY"~expr_@ ("," WS expr_@)*
frame_@: "ORDER"~"BY"~expr_@ (~DIRECTION)? ("," WS expr_@ (~DIRECTION)?)*
"#;

fn family(name: &str, columns: &str, sources: &str) -> String {
    let mut text = FAMILY.replace('~', " WS ").replace("COLUMNS", columns).replace("SOURCES", sources);
    for (rule, kind) in [("scalar", Kind::Scalar), ("window", Kind::Window)] {
        let calls: Vec<String> = arities(kind)
            .into_iter()
            .map(|(least, most)| format!("{} {}", terminal(kind, least, most), arguments(least, most)))
            .collect();
        _ = writeln!(text, "{rule}_@: {}", calls.join(" | "));
    }
    text.replace('@', name)
}

/// `"(" expr ("," expr)… ")"` for so many arguments.
fn arguments(least: usize, most: usize) -> String {
    match (least, most) {
        (_, 0) => "\"(\" \")\"".to_owned(),
        (1, 1) => "\"(\" expr_@ \")\"".to_owned(),
        _ => format!("\"(\" expr_@ (\",\" WS expr_@){{{},{}}} \")\"", least.max(1) - 1, most - 1),
    }
}

fn arities(kind: Kind) -> BTreeSet<(usize, usize)> {
    FUNCTIONS.iter().filter(|row| row.1 == kind).map(|row| (row.2, row.3)).collect()
}

fn terminal(kind: Kind, least: usize, most: usize) -> String {
    let prefix = if kind == Kind::Window { "WINDOW" } else { "SCALAR" };
    format!("{prefix}_{least}_{most}")
}

/// Terminals for function names, one per kind and number of arguments.
fn functions(text: &mut String) {
    for kind in [Kind::Scalar, Kind::Window] {
        for (least, most) in arities(kind) {
            let row = FUNCTIONS.iter().filter(|row| row.1 == kind && (row.2, row.3) == (least, most));
            let names: Vec<&str> = row.map(|row| row.0).collect();
            _ = writeln!(text, "{}: /(?i:{})/", terminal(kind, least, most), names.join("|"));
        }
    }
    for (terminal, n_arguments) in [("AGGREGATE", 1), ("AGGREGATE2", 2)] {
        let row = FUNCTIONS.iter().filter(|row| row.1 == Kind::Aggregate && (row.2..=row.3).contains(&n_arguments));
        let names: Vec<&str> = row.map(|row| row.0).collect();
        _ = writeln!(text, "{terminal}: /(?i:{})/", names.join("|"));
    }
}

/// One table as the grammar names it.
struct Source {
    name: String,
    columns: Vec<String>,
    /// Short names that only this table can have.
    aliases: Vec<String>,
}

/// Everything that can be named.
struct Names {
    sources: Vec<Source>,
}

impl Names {
    fn of(tables: &[TableInfo], with_damaged: bool) -> Self {
        let mut sources = Vec::new();
        for info in tables {
            let columns = info.columns.iter().map(|column| spell(&column.name)).collect();
            sources.push(Source { name: spell(&info.name), columns, aliases: short_names(&info.name) });
            if info.n_bad > 0 && with_damaged {
                let columns = ["line", "text", "why"].map(str::to_owned).to_vec();
                sources.push(Source { name: spell(&info.bad_name()), columns, aliases: Vec::new() });
            }
        }
        let all: Vec<String> = sources.iter().flat_map(|source| source.aliases.clone()).collect();
        let tables: Vec<String> = sources.iter().map(|source| source.name.to_lowercase()).collect();
        for source in &mut sources {
            source
                .aliases
                .retain(|alias| all.iter().filter(|other| *other == alias).count() == 1 && !tables.contains(alias));
        }
        Self { sources }
    }

    /// Rules for tables, columns, and columns behind the name of their table.
    fn rules(&self, text: &mut String) {
        let columns: BTreeSet<&String> = self.sources.iter().flat_map(|source| &source.columns).collect();
        _ = writeln!(text, "COLUMN: {}", alternatives(columns.into_iter()));
        let mut tables = Vec::new();
        let mut qualified = Vec::new();
        for (idx, source) in self.sources.iter().enumerate() {
            _ = writeln!(text, "COLUMN_{idx}: {}", alternatives(source.columns.iter()));
            let own = if source.aliases.is_empty() { String::new() } else { format!(" | ALIAS_{idx}") };
            if !source.aliases.is_empty() {
                _ = writeln!(text, "ALIAS_{idx}: {}", alternatives(source.aliases.iter()));
            }
            let name = literal(&source.name);
            tables.push(format!("{name} (WS (\"AS\" WS)? (ALIAS{own}))?"));
            qualified.push(format!("({name}{own}) \".\" COLUMN_{idx}"));
        }
        // Names for two uses of one table, and those that models give by number.
        text.push_str("ALIAS: /[tT][1-9]|a|b|[a-z][12]/\n");
        _ = writeln!(text, "table: {}", tables.join(" | "));
        _ = writeln!(text, "qualified_strict: {} | ALIAS \".\" COLUMN", qualified.join(" | "));
    }

    fn strict_column(&self) -> String {
        "COLUMN | qualified_strict".to_owned()
    }
}

/// What people call `order_items` for short: its first letter, its initials, its first three letters.
fn short_names(table: &str) -> Vec<String> {
    let lower = table.to_lowercase();
    let initials: String = lower.split('_').filter_map(|word| word.chars().next()).collect();
    let names = [lower.chars().take(1).collect(), initials, lower.chars().take(3).collect()];
    let is_own = |name: &String| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_lowercase())
            && !["a", "b"].contains(&name.as_str())
            && !KEYWORDS.contains(&name.to_uppercase().as_str())
    };
    names.into_iter().filter(is_own).collect::<BTreeSet<String>>().into_iter().collect()
}

fn alternatives<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| literal(name)).collect::<Vec<_>>().join(" | ")
}

/// A Lark literal; it escapes as JSON does.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
