//! Says to a model what SQLite refused, and names the tables, columns and values that there are.
//!
//! Must not know: how queries run.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;
use rusqlite::Connection;

use super::token::{self, spell};
use super::{ColumnInfo, ColumnType, Error, TableInfo, function, quote};
use crate::tool::workspace::similar_names;

/// Notes on texts that occur in another spelling only.
const MAX_NEAR_MISSES: usize = 4;

/// The table as a `CREATE TABLE` statement; examples stand in comments.
pub(super) fn schema(info: &TableInfo) -> String {
    let mut text = format!("CREATE TABLE {} ( -- ", spell(&info.name));
    if !info.path.is_empty() {
        _ = write!(text, "{}, ", info.path);
    }
    _ = writeln!(text, "{} rows", info.n_rows);
    for (idx, column) in info.columns.iter().enumerate() {
        let comma = if idx + 1 < info.columns.len() { "," } else { "" };
        _ = writeln!(text, "  {} {}{comma}{}", spell(&column.name), kind(column.kind), examples(column));
    }
    text.push_str(");\n");
    if info.n_bad > 0 {
        let what = if info.n_bad == 1 { "1 row" } else { "rows" };
        _ = writeln!(
            text,
            "CREATE TABLE {} (line INTEGER, text TEXT, why TEXT); -- {} left out of {}",
            spell(&info.bad_name()),
            if info.n_bad == 1 { what.to_owned() } else { format!("{} {what}", info.n_bad) },
            info.name,
        );
    }
    text
}

fn kind(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Integer => "INTEGER",
        ColumnType::Real => "REAL",
        ColumnType::Date => "DATE",
        ColumnType::Text | ColumnType::Boolean => "TEXT",
    }
}

fn examples(column: &ColumnInfo) -> String {
    let texts = || column.examples.iter().map(|text| format!("'{}'", text.replace('\'', "''"))).collect::<Vec<_>>();
    match (column.examples.as_slice(), column.kind) {
        ([], _) => String::new(),
        // A range of numbers would only be copied into conditions that nobody asked for.
        (_, ColumnType::Integer | ColumnType::Real) => String::new(),
        ([least, greatest], ColumnType::Date) => format!(" -- '{least}' to '{greatest}'"),
        _ if column.is_complete => format!(" -- {}", texts().join(", ")),
        _ => format!(" -- for example {}", texts().join(", ")),
    }
}

/// The tables in one line each, for errors.
fn listing(tables: &[TableInfo]) -> String {
    let one = |info: &TableInfo| {
        let columns: Vec<String> =
            info.columns.iter().map(|column| format!("{} {}", spell(&column.name), kind(column.kind))).collect();
        format!("{}({})", spell(&info.name), columns.join(", "))
    };
    match tables {
        [] => "there is no table".to_owned(),
        tables => tables.iter().map(one).collect::<Vec<_>>().join("; "),
    }
}

static PATTERNS: LazyLock<[(Regex, Subject); 6]> = LazyLock::new(|| {
    [
        (r"^no such column: (.+?)(?: - should this be .*)?$", Subject::Column),
        (r"^no such table: (.+)$", Subject::Table),
        (r"^no such function: (.+)$", Subject::Function),
        (r"^wrong number of arguments to function (\w+)\(\)$", Subject::Arguments),
        (r"^ambiguous column name: (.+)$", Subject::Ambiguous),
        (r#"^near "(.+)": syntax error$"#, Subject::Syntax),
    ]
    .map(|(pattern, subject)| (Regex::new(pattern).expect("a constant pattern"), subject))
});

#[derive(Clone, Copy)]
enum Subject {
    Column,
    Table,
    Function,
    Arguments,
    Ambiguous,
    Syntax,
}

/// What went wrong with `sql`, for the model that wrote it.
pub(super) fn error(error: &rusqlite::Error, sql: &str, tables: &[TableInfo]) -> Error {
    use rusqlite::{Error as Sql, ErrorCode};
    match error {
        Sql::MultipleStatement => {
            return Error::Arguments("there are several statements; expected one SELECT".into());
        }
        Sql::InvalidQuery => return not_a_select(sql),
        _ => {}
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::AuthorizationForStatementDenied) => return not_a_select(sql),
        Some(ErrorCode::OperationInterrupted) => {
            return Error::Limit("the query took too long; join on equal columns and filter first".into());
        }
        Some(ErrorCode::TooBig | ErrorCode::OutOfMemory) => {
            return Error::Limit("the query makes a text that is too long; select fewer rows or shorter texts".into());
        }
        _ => {}
    }
    let message = match error {
        Sql::SqlInputError { msg, .. } => msg.clone(),
        Sql::SqliteFailure(_, Some(msg)) => msg.clone(),
        other => other.to_string(),
    };
    if message.starts_with("not authorized") {
        return Error::Arguments(format!("{message}; only SELECT over the tables is allowed"));
    }
    let found =
        PATTERNS.iter().find_map(|(pattern, subject)| Some((*subject, pattern.captures(&message)?[1].to_owned())));
    Error::Failed(match found {
        Some((subject, name)) => describe(subject, &name, sql, tables),
        None => format!("{message}; the tables are {}", listing(tables)),
    })
}

fn describe(subject: Subject, name: &str, sql: &str, tables: &[TableInfo]) -> String {
    let bare = name.rsplit('.').next().unwrap_or(name).trim_matches('"');
    match subject {
        Subject::Column => {
            let columns = tables.iter().flat_map(|info| info.columns.iter().map(|column| column.name.as_str()));
            let near = similar_names(bare, columns);
            let hint = match near.first() {
                Some(near) => format!("; did you mean {}?", spell(near)),
                None if sql.contains(&format!("\"{bare}\"")) => format!("; a text stands in single quotes: '{bare}'"),
                None => String::new(),
            };
            format!("there is no column `{}`{hint}; the tables are {}", name.trim_matches('"'), listing(tables))
        }
        Subject::Table => {
            let near = similar_names(bare, tables.iter().map(|info| info.name.as_str()));
            let hint = near.first().map_or_else(String::new, |near| format!("; did you mean {}?", spell(near)));
            format!("there is no table `{name}`{hint}; the tables are {}", listing(tables))
        }
        Subject::Function => {
            let near = similar_names(&bare.to_lowercase(), function::names());
            let hint = near.first().map_or_else(String::new, |near| format!("; did you mean {near}?"));
            let known: Vec<&str> = function::names().collect();
            format!("there is no function `{name}`{hint}; there are {}", known.join(", "))
        }
        Subject::Arguments => {
            let arity = function::arity(name).map_or_else(String::new, |arity| format!("; it takes {arity}"));
            format!("wrong number of arguments for {name}{arity}")
        }
        Subject::Ambiguous if name.contains('.') => {
            let owner = name.split('.').next().unwrap_or_default();
            format!("two tables of the query are called `{owner}`; give each a name of its own: … AS a JOIN … AS b")
        }
        Subject::Ambiguous => {
            let owners =
                tables.iter().filter(|info| info.columns.iter().any(|column| column.name.eq_ignore_ascii_case(bare)));
            let choices: Vec<String> = owners.map(|info| format!("{}.{}", spell(&info.name), spell(bare))).collect();
            format!("column `{name}` is in several tables; write {}", choices.join(" or "))
        }
        Subject::Syntax => format!("syntax error near `{}`; expected one SQLite SELECT", name.replace("*1.0/", "/")),
    }
}

/// Only SELECT is run; files are written by other steps.
pub(super) fn not_a_select(sql: &str) -> Error {
    let start = sql.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    Error::Arguments(format!("expected one SELECT, got `{start}`"))
}

/// Texts of the query that occur in no column, but do in another spelling.
pub(super) fn near_misses(connection: &Connection, sql: &str, tables: &[&TableInfo]) -> rusqlite::Result<Vec<String>> {
    let mut notes: Vec<String> = Vec::new();
    'texts: for text in token::texts(sql) {
        if text.contains('%') || notes.len() == MAX_NEAR_MISSES {
            continue;
        }
        let mut note = None;
        for (info, column) in tables.iter().flat_map(|info| info.columns.iter().map(move |column| (*info, column))) {
            if column.kind != ColumnType::Text {
                continue;
            }
            let (table, name) = (quote(&info.name), quote(&column.name));
            let mut same = connection.prepare(&format!("SELECT 1 FROM {table} WHERE {name} = ?1 LIMIT 1"))?;
            if same.exists([&text])? {
                continue 'texts;
            }
            let other = format!("SELECT {name} FROM {table} WHERE lower({name}) = lower(?1) LIMIT 1");
            let mut other = connection.prepare(&other)?;
            let mut rows = other.query([&text])?;
            if let Some(row) = rows.next()? {
                let found: String = row.get(0)?;
                note = Some(format!(
                    "'{text}' occurs in no column; {}.{} has '{found}'",
                    spell(&info.name),
                    spell(&column.name)
                ));
            }
        }
        notes.extend(note);
    }
    Ok(notes)
}
