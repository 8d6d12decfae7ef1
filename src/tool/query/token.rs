//! Just enough of SQL's tokens to change and inspect a query without parsing it.
//!
//! Must not know: tables, SQLite.

/// What a piece of SQL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `'…'`
    Text,
    /// A name or keyword, also in `"…"`, `[…]` or backquotes.
    Name,
    /// `-- …` or `/* … */`
    Comment,
    /// Anything else, character by character.
    Sign,
}

/// The pieces of `sql` with their kinds; together they are `sql`.
pub fn tokens(sql: &str) -> Vec<(Kind, &str)> {
    let mut tokens = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (kind, len) = match first {
            '\'' => (Kind::Text, quoted(rest, '\'')),
            '"' | '`' => (Kind::Name, quoted(rest, first)),
            '[' => (Kind::Name, rest.find(']').map_or(rest.len(), |end| end + 1)),
            '-' if rest.starts_with("--") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (Kind::Comment, rest.find("*/").map_or(rest.len(), |end| end + 2)),
            c if c.is_alphabetic() || c == '_' => {
                (Kind::Name, rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()))
            }
            c => (Kind::Sign, c.len_utf8()),
        };
        let (token, behind) = rest.split_at(len);
        tokens.push((kind, token));
        rest = behind;
    }
    tokens
}

/// Length of what starts with `mark` up to the next single `mark`; a doubled one is part of it.
fn quoted(text: &str, mark: char) -> usize {
    let mut at = 1;
    while let Some(found) = text[at..].find(mark) {
        at += found + 1;
        if !text[at..].starts_with(mark) {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// The query without blanks, code fences and the final semicolon.
pub(super) fn strip(sql: &str) -> &str {
    let sql = sql.trim();
    let sql = sql.strip_prefix("```sql").or_else(|| sql.strip_prefix("```")).unwrap_or(sql);
    sql.trim_end_matches("```").trim().trim_end_matches(';').trim()
}

/// Whether the first word is one that a SELECT starts with.
pub(super) fn is_select(sql: &str) -> bool {
    let first = tokens(sql)
        .into_iter()
        .find(|(kind, token)| *kind == Kind::Name || *kind == Kind::Sign && !token.trim().is_empty());
    first.is_some_and(|(_, word)| ["SELECT", "WITH", "VALUES"].iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// What `/` becomes, so that whole numbers divide exactly; of the same precedence, so nothing else changes.
const EXACT: &str = "*1.0/";

/// The query with every division exact: `1 / 2` is 0.5, as people expect of an average or a share.
pub(super) fn divide_exactly(sql: &str) -> String {
    tokens(sql).into_iter().map(|token| if token == (Kind::Sign, "/") { EXACT } else { token.1 }).collect()
}

/// Names of result columns, as the query had them, made unique.
pub(super) fn column_names(names: &[&str]) -> Vec<String> {
    let mut unique: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let base = name.replace(EXACT, "/");
        let numbered = (2..).map(|number| format!("{base}_{number}"));
        let free = std::iter::once(base.clone()).chain(numbered).find(|name| !unique.contains(name));
        unique.push(free.unwrap_or(base));
    }
    unique
}

/// Whether the query names `table`, or its table of bad rows.
pub(super) fn names(sql: &str, table: &str) -> bool {
    tokens(sql).into_iter().filter(|(kind, _)| *kind == Kind::Name).any(|(_, name)| {
        let name = name.trim_matches(['"', '`', '[', ']']);
        name.eq_ignore_ascii_case(table) || name.to_lowercase() == table.to_lowercase()
    })
}

/// The contents of the texts in the query.
pub fn texts(sql: &str) -> Vec<String> {
    let texts = tokens(sql).into_iter().filter(|(kind, token)| *kind == Kind::Text && token.len() > 2);
    texts.map(|(_, token)| token[1..].strip_suffix('\'').unwrap_or(&token[1..]).replace("''", "'")).collect()
}

/// Whether SQL takes `name` as a name without quotes.
pub(super) fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !KEYWORDS.contains(&name.to_ascii_uppercase().as_str())
}

/// `name` as SQL needs it: quoted if it is not plain.
pub(super) fn spell(name: &str) -> String {
    if is_plain(name) { name.to_owned() } else { super::quote(name) }
}

/// What SQLite reserves, with words that it lets pass but that read badly as a name.
pub(super) const KEYWORDS: [&str; 100] = [
    "ABORT",
    "ADD",
    "ALL",
    "ALTER",
    "AND",
    "AS",
    "ASC",
    "ATTACH",
    "AUTOINCREMENT",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CASCADE",
    "CASE",
    "CAST",
    "CHECK",
    "COLLATE",
    "COMMIT",
    "CONSTRAINT",
    "CREATE",
    "CROSS",
    "CURRENT",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "DEFAULT",
    "DEFERRABLE",
    "DELETE",
    "DESC",
    "DETACH",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "ESCAPE",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FILTER",
    "FOREIGN",
    "FROM",
    "FULL",
    "GLOB",
    "GROUP",
    "HAVING",
    "IF",
    "IN",
    "INDEX",
    "INDEXED",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTO",
    "IS",
    "ISNULL",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MATCH",
    "NATURAL",
    "NOT",
    "NOTHING",
    "NOTNULL",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PRAGMA",
    "PRIMARY",
    "RECURSIVE",
    "REFERENCES",
    "REGEXP",
    "REPLACE",
    "RETURNING",
    "RIGHT",
    "ROLLBACK",
    "ROW",
    "ROWS",
    "SELECT",
    "SET",
    "TABLE",
    "THEN",
    "TO",
    "TRANSACTION",
    "TRIGGER",
    "TRUE",
    "FALSE",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USING",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
];
