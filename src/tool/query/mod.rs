//! `query_table`: one SELECT over files, each a table of an SQLite database in memory.
//!
//! Rows that do not fit their table stand in `<name>_bad` and in the notes, never in a sum. `/` divides
//! exactly, numbers come out without float noise, and an error names what there is instead.
//! Invariant: a query reads the loaded tables and nothing else; an authorizer refuses every other action.
//!
//! Must not know: models, prompts, how a grammar is enforced.

mod aggregate;
mod explain;
mod function;
mod grammar;
mod link;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Connection, params_from_iter};
use serde_json::{Value as Json, json};

use super::table::{self, ColumnType, Loaded, Table};
use super::{Context, Effect, Error, Output, Spec, Tool, Value, Workspace};
pub use grammar::{Shape, grammar, grammar_of, grammar_of_whole_rows};
pub use link::Link;
pub use token::{Kind, texts, tokens};

/// Rows of a result that are kept.
pub const MAX_ROWS: usize = 10_000;
/// Longest text or blob that a query may make, in bytes.
const MAX_CELL_BYTES: i32 = 4 << 20;
/// Longest that one query may run.
const MAX_TIME: Duration = Duration::from_secs(20);
/// Virtual machine steps between two looks at the clock.
const STEPS_PER_CHECK: i32 = 20_000;
/// Example values kept per column.
const MAX_EXAMPLES: usize = 8;
/// Longest example value, in characters.
const MAX_EXAMPLE_CHARS: usize = 40;

/// A column as a query can name it.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnInfo {
    /// Name as in the file; quoted in SQL unless it is a plain identifier.
    pub name: String,
    /// What its cells are.
    pub kind: ColumnType,
    /// All distinct texts if they are few, else the first ones; least and greatest of numbers and dates.
    pub examples: Vec<String>,
    /// Whether `examples` are all values that occur.
    pub is_complete: bool,
}

/// A table as a query can name it.
#[derive(Debug, Clone, PartialEq)]
pub struct TableInfo {
    /// Name in SQL; unique without regard to case.
    pub name: String,
    /// The file it came from; empty for a table that was handed over.
    pub path: String,
    /// Columns in order.
    pub columns: Vec<ColumnInfo>,
    /// Rows that can be queried.
    pub n_rows: usize,
    /// Rows left out, which can be queried in `<name>_bad(line, text, why)`.
    pub n_bad: usize,
    /// What a reader of its results should know.
    pub notes: Vec<String>,
}

impl TableInfo {
    /// Name of the table of its bad rows.
    pub fn bad_name(&self) -> String {
        format!("{}_bad", self.name)
    }
}

/// Files loaded as tables, ready to be queried any number of times.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    tables: Vec<TableInfo>,
    /// Texts that differ in upper and lower case only are the same.
    ignores_case: bool,
}

impl Database {
    /// Loads every table of every file.
    ///
    /// # Errors
    /// As [`table::load`], for the first file that cannot be loaded.
    pub fn open(workspace: &Workspace, paths: &[String], options: &table::Options) -> Result<Self, Error> {
        let mut database = Self { ignores_case: options.ignores_case, ..Self::empty()? };
        for (idx, path) in paths.iter().enumerate() {
            if paths[..idx].contains(path) {
                continue;
            }
            for (name, loaded) in table::load_all(workspace, path, options)? {
                database.add(&name, path, loaded)?;
            }
        }
        Ok(database)
    }

    /// A database without tables.
    ///
    /// # Errors
    /// [`Error::Failed`] if there is no memory for it.
    pub fn empty() -> Result<Self, Error> {
        let connection = Connection::open_in_memory().map_err(internal)?;
        // `"North"` must not silently become a text where no column has that name.
        for switch in [DbConfig::SQLITE_DBCONFIG_DQS_DML, DbConfig::SQLITE_DBCONFIG_DQS_DDL] {
            connection.set_db_config(switch, false).map_err(internal)?;
        }
        function::register(&connection).map_err(internal)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_CELL_BYTES).map_err(internal)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0).map_err(internal)?;
        Ok(Self { connection, tables: Vec::new(), ignores_case: false })
    }

    /// Adds a table, for example the result of an earlier step; returns the name that it got.
    ///
    /// # Errors
    /// [`Error::Limit`] if a cell is too long.
    pub fn add(&mut self, name: &str, path: &str, loaded: Loaded) -> Result<String, Error> {
        self.allow_everything().map_err(internal)?;
        let name = self.free_name(name);
        let columns: Vec<ColumnInfo> = (0..loaded.types.len()).map(|idx| column_info(&loaded, idx)).collect();
        let info = TableInfo {
            name: name.clone(),
            path: path.to_owned(),
            columns,
            n_rows: loaded.table.rows.len(),
            n_bad: loaded.bad_rows.len(),
            notes: loaded.notes,
        };
        let stored = self.store(&info, loaded.table.rows, loaded.bad_rows);
        stored.map_err(|error| Error::Limit(format!("loading {path}: {error}")))?;
        self.tables.push(info);
        Ok(name)
    }

    fn store(&mut self, info: &TableInfo, rows: Vec<Vec<Json>>, bad_rows: Vec<table::BadRow>) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let collation = if self.ignores_case { " COLLATE NOCASE" } else { "" };
        let column = |column: &ColumnInfo| format!("{} {}{collation}", quote(&column.name), sql_type(column.kind));
        let columns: Vec<String> = info.columns.iter().map(column).collect();
        transaction.execute_batch(&format!("CREATE TABLE {} ({})", quote(&info.name), columns.join(", ")))?;
        let marks = vec!["?"; columns.len()].join(", ");
        let mut insert = transaction.prepare(&format!("INSERT INTO {} VALUES ({marks})", quote(&info.name)))?;
        for row in rows {
            insert.execute(params_from_iter(row.into_iter().map(sql_value)))?;
        }
        drop(insert);
        let bad = quote(&info.bad_name());
        transaction.execute_batch(&format!("CREATE TABLE {bad} (line INTEGER, text TEXT, why TEXT)"))?;
        let mut insert = transaction.prepare(&format!("INSERT INTO {bad} VALUES (?, ?, ?)"))?;
        for row in bad_rows {
            insert.execute((i64::try_from(row.line).unwrap_or(i64::MAX), row.text, row.why))?;
        }
        drop(insert);
        transaction.commit()
    }

    /// `name` made of letters, digits and `_`, not a keyword, not taken.
    fn free_name(&self, name: &str) -> String {
        let mut base: String =
            name.trim().chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect();
        if base.is_empty() || base.starts_with(|c: char| c.is_numeric()) {
            base.insert_str(0, "t_");
        }
        if !token::is_plain(&base) && base.is_ascii() || base.to_lowercase().starts_with("sqlite_") {
            base = format!("{base}_table").trim_start_matches("sqlite_").to_owned();
        }
        let taken = |name: &str| {
            let name = name.to_lowercase();
            self.tables.iter().any(|info| [info.name.to_lowercase(), info.bad_name().to_lowercase()].contains(&name))
        };
        let numbered = (2..).map(|number| format!("{base}_{number}"));
        std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(base)
    }

    /// The tables, in the order in which they were added.
    pub fn tables(&self) -> &[TableInfo] {
        &self.tables
    }

    /// Name in SQL and file of every table.
    pub fn names(&self) -> Vec<(&str, &str)> {
        self.tables.iter().map(|info| (info.name.as_str(), info.path.as_str())).collect()
    }

    /// `(table, column)` for every column.
    pub fn columns(&self) -> Vec<(&str, &str)> {
        let mut columns = Vec::new();
        for info in &self.tables {
            columns.extend(info.columns.iter().map(|column| (info.name.as_str(), column.name.as_str())));
        }
        columns
    }

    /// The tables as `CREATE TABLE` statements with example values and the links between them, for prompts.
    pub fn schema_text(&self) -> String {
        let tables = self.tables.iter().map(explain::schema).collect::<Vec<_>>().join("\n");
        self.links().into_iter().fold(tables, |text, link| format!("{text}-- {}\n", self.link_text(link)))
    }

    /// Runs one SELECT; gives a table of at most [`MAX_ROWS`] rows, and notes on the tables that it names.
    ///
    /// # Errors
    /// [`Error::Arguments`] if it is not one SELECT, [`Error::Failed`] if it does not fit the tables (says
    /// what there is), [`Error::Limit`] if it runs past `deadline` or makes too long a text.
    pub fn run(&self, sql: &str, deadline: Instant) -> Result<Output, Error> {
        let sql = token::strip(sql);
        if !token::is_select(sql) {
            return Err(explain::not_a_select(sql));
        }
        let exact = token::divide_exactly(sql);
        let deadline = deadline.min(Instant::now() + MAX_TIME);
        self.guard(deadline).map_err(internal)?;
        let mut notes = Vec::new();
        let table = self.fetch(&exact, &mut notes).map_err(|error| explain::error(&error, sql, &self.tables))?;
        notes.extend(self.notes(sql, deadline));
        Ok(Output { value: Value::Table(table), changes: Vec::new(), notes })
    }

    /// Refuses every action but reading, and stops at the deadline.
    fn guard(&self, deadline: Instant) -> rusqlite::Result<()> {
        let decide = |context: AuthContext<'_>| match context.action {
            AuthAction::Function { function_name } if function_name.eq_ignore_ascii_case("load_extension") => {
                Authorization::Deny
            }
            AuthAction::Select | AuthAction::Read { .. } | AuthAction::Function { .. } | AuthAction::Recursive => {
                Authorization::Allow
            }
            _ => Authorization::Deny,
        };
        self.connection.authorizer(Some(decide))?;
        self.connection.progress_handler(STEPS_PER_CHECK, Some(move || Instant::now() > deadline))
    }

    fn allow_everything(&self) -> rusqlite::Result<()> {
        self.connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        self.connection.progress_handler(0, None::<fn() -> bool>)
    }

    fn fetch(&self, sql: &str, notes: &mut Vec<String>) -> rusqlite::Result<Table> {
        let mut statement = self.connection.prepare(sql)?;
        if !statement.readonly() || statement.column_count() == 0 {
            return Err(rusqlite::Error::InvalidQuery);
        }
        let columns = token::column_names(&statement.column_names());
        let n_columns = columns.len();
        let is_boolean: Vec<bool> = columns.iter().map(|name| self.is_boolean(name)).collect();
        let mut table = Table { columns, rows: Vec::new() };
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if table.rows.len() == MAX_ROWS {
                notes.push(format!("only the first {MAX_ROWS} rows of the result are kept"));
                break;
            }
            let cells = (0..n_columns).map(|idx| row.get_ref(idx).map(|value| json_value(value, is_boolean[idx])));
            table.rows.push(cells.collect::<Result<_, _>>()?);
        }
        Ok(table)
    }

    fn is_boolean(&self, name: &str) -> bool {
        let mut columns = self.tables.iter().flat_map(|info| &info.columns);
        columns.any(|column| column.kind == ColumnType::Boolean && column.name == name)
    }

    /// The notes of the tables that the query names, and hints on texts in it that occur nowhere.
    fn notes(&self, sql: &str, deadline: Instant) -> Vec<String> {
        let mut notes = Vec::new();
        let named: Vec<&TableInfo> = self.tables.iter().filter(|info| token::names(sql, &info.name)).collect();
        for info in &named {
            let of =
                |note: &String| if note.contains(&info.path) { note.clone() } else { format!("{}: {note}", info.path) };
            notes.extend(info.notes.iter().map(of));
        }
        // Another spelling may still be looked up, but never at the cost of the result.
        if Instant::now() < deadline {
            notes.extend(explain::near_misses(&self.connection, sql, &named).unwrap_or_default());
        }
        notes
    }
}

fn internal(error: rusqlite::Error) -> Error {
    Error::Failed(format!("preparing the tables: {error}"))
}

/// A name in SQL, always quoted.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn sql_type(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Integer => "INTEGER",
        ColumnType::Real => "REAL",
        ColumnType::Text | ColumnType::Date | ColumnType::Boolean => "TEXT",
    }
}

fn sql_value(cell: Json) -> SqlValue {
    match cell {
        Json::Null => SqlValue::Null,
        Json::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().map_or(SqlValue::Null, SqlValue::Real),
        },
        Json::String(text) => text.into(),
        // One spelling for JSON and for text files; `json_value` turns it back.
        Json::Bool(is_true) => is_true.to_string().into(),
        other => other.to_string().into(),
    }
}

fn json_value(value: ValueRef<'_>, is_boolean: bool) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => tidy(number),
        ValueRef::Text(b"true") if is_boolean => true.into(),
        ValueRef::Text(b"false") if is_boolean => false.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => format!("({} bytes)", bytes.len()).into(),
    }
}

/// A number with the 15 digits that a float carries for certain, whole numbers as such.
fn tidy(number: f64) -> Json {
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        #[allow(clippy::cast_possible_truncation)] // below 1e15 and whole
        return (rounded as i64).into();
    }
    serde_json::Number::from_f64(rounded).map_or(Json::Null, Json::Number)
}

fn column_info(loaded: &Loaded, idx: usize) -> ColumnInfo {
    let kind = loaded.types[idx];
    let name = loaded.table.columns[idx].clone();
    let cells = loaded.table.rows.iter().map(|row| &row[idx]).filter(|cell| !cell.is_null());
    let (examples, is_complete) = match kind {
        ColumnType::Integer | ColumnType::Real => {
            let mut ends: Option<(f64, f64)> = None;
            for number in cells.filter_map(Json::as_f64) {
                let (least, greatest) = ends.unwrap_or((number, number));
                ends = Some((least.min(number), greatest.max(number)));
            }
            (
                ends.map_or_else(Vec::new, |(least, greatest)| {
                    vec![tidy(least).to_string(), tidy(greatest).to_string()]
                }),
                false,
            )
        }
        ColumnType::Date => {
            let texts = || cells.clone().filter_map(Json::as_str);
            let ends = texts().min().zip(texts().max());
            (ends.map_or_else(Vec::new, |(least, greatest)| vec![least.to_owned(), greatest.to_owned()]), false)
        }
        ColumnType::Text | ColumnType::Boolean => text_examples(cells),
    };
    ColumnInfo { name, kind, examples, is_complete }
}

/// Distinct short texts in order of appearance, and whether these are all.
fn text_examples<'a>(cells: impl Iterator<Item = &'a Json>) -> (Vec<String>, bool) {
    let mut examples: Vec<String> = Vec::new();
    for cell in cells {
        let text = cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
        if examples.contains(&text) {
            continue;
        }
        if examples.len() == MAX_EXAMPLES || text.chars().count() > MAX_EXAMPLE_CHARS {
            examples.truncate(3);
            return (examples, false);
        }
        examples.push(text);
    }
    (examples, true)
}

/// The tool.
struct QueryTable {
    spec: Spec,
}

/// The tools of this file.
pub fn tools() -> Vec<Arc<dyn Tool>> {
    let schema = json!({
        "type": "object",
        "properties": {
            "files": {
                "type": "array",
                "items": { "type": "string", "x-path": "existing" },
                "minItems": 1,
                "maxItems": 8,
                "description": "CSV, TSV, JSON, JSON lines, Markdown or SQLite files; each is a table named after its file",
            },
            "sql": { "type": "string", "maxLength": 4000, "description": "one SQLite SELECT; `/` divides exactly" },
        },
        "required": ["files", "sql"],
        "additionalProperties": false,
    });
    let description = "Answers a question about tables in files (filter, join, group, count, sum, average, sort, top N) \
                       with one SQL SELECT; choose it for CSV, TSV, JSON and SQLite data.";
    vec![Arc::new(QueryTable { spec: Spec { name: "query_table", description, schema, effects: &[Effect::Reads] } })]
}

impl Tool for QueryTable {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn call(&self, arguments: &Json, context: &Context<'_>) -> Result<Output, Error> {
        let files = match &arguments["files"] {
            Json::Array(files) => files.iter().map(|file| file.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>(),
            Json::String(file) => Some(vec![file.clone()]),
            _ => None,
        };
        let files = files
            .filter(|files| !files.is_empty())
            .ok_or_else(|| Error::Arguments(format!("`files` is {}; expected a list of paths", arguments["files"])))?;
        let sql = arguments["sql"].as_str().ok_or_else(|| {
            Error::Arguments(format!("`sql` is {}; expected the text of one SELECT", arguments["sql"]))
        })?;
        Database::open(context.workspace, &files, &table::Options::default())?.run(sql, context.deadline)
    }
}
