//! Which columns point into other tables: a column whose values are all found in a column of another table that tells
//! the rows of that table apart.
//!
//! Must not know: models, prompts.

use std::time::{Duration, Instant};

use super::{Database, TableInfo, quote};
use crate::tool::table::ColumnType;

/// Tables and columns of a table that are looked at.
const MAX_TABLES: usize = 6;
const MAX_COLUMNS: usize = 24;
/// Rows of a table that are looked at without an index.
const MAX_ROWS: usize = 20_000;
/// How long it may take; links that were not found by then are left out.
const MAX_TIME: Duration = Duration::from_millis(500);

/// A column and the column of another table that it points to, each as `(table, column)`: their places in
/// [`Database::tables`] and in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The column that points.
    pub from: (usize, usize),
    /// The column that tells the rows of the other table apart.
    pub to: (usize, usize),
}

impl Database {
    /// The links between the tables, found in their values; of texts, and of whole numbers whose name says so. Small
    /// tables only; those that take too long are left out.
    pub fn links(&self) -> Vec<Link> {
        let deadline = Instant::now() + MAX_TIME;
        if self.guard(deadline).is_err() {
            return Vec::new();
        }
        let columns: Vec<(usize, usize)> = self
            .tables()
            .iter()
            .take(MAX_TABLES)
            .enumerate()
            .filter(|(_, table)| table.n_rows <= MAX_ROWS)
            .flat_map(|(t, table)| (0..table.columns.len().min(MAX_COLUMNS)).map(move |c| (t, c)))
            .collect();
        let keys: Vec<(usize, usize)> = columns.iter().copied().filter(|&key| self.tells_apart(key)).collect();
        let pairs = columns.iter().flat_map(|&from| keys.iter().map(move |&to| Link { from, to }));
        let mut links: Vec<Link> = Vec::new();
        for link in pairs.filter(|link| link.from.0 != link.to.0 && self.may_point(*link)) {
            let is_known = links.iter().any(|known| (known.to, known.from) == (link.from, link.to));
            if !is_known && self.points(link) {
                links.push(link);
            }
        }
        links
    }

    /// A link in words, as a comment of a schema.
    pub fn link_text(&self, link: Link) -> String {
        let name = |(t, c): (usize, usize)| format!("{}.{}", self.tables()[t].name, self.tables()[t].columns[c].name);
        format!(
            "{} is the {} of a row of {}",
            name(link.from),
            self.column_name(link.to),
            self.tables()[link.to.0].name
        )
    }

    /// The name of a column.
    pub fn column_name(&self, (t, c): (usize, usize)) -> &str {
        &self.tables()[t].columns[c].name
    }

    fn may_point(&self, link: Link) -> bool {
        let kind = |(t, c): (usize, usize)| self.tables()[t].columns[c].kind;
        // Small whole numbers are found in each other by chance: `person_id` points to `id`, and `id` to none.
        let is_named_so = || {
            let names = [link.from, link.to].map(|column| self.column_name(column).to_lowercase());
            names[0].ends_with(&names[1]) && !["id", "nr", "no", "number"].contains(&names[0].as_str())
        };
        match (kind(link.from), kind(link.to)) {
            (ColumnType::Text, ColumnType::Text) => true,
            (ColumnType::Integer, ColumnType::Integer) => is_named_so(),
            _ => false,
        }
    }

    /// Whether no two rows have the same value there, and each has one.
    fn tells_apart(&self, column: (usize, usize)) -> bool {
        let (table, name) = self.quoted(column);
        self.tables()[column.0].n_rows > 1
            && self.holds(&format!("SELECT COUNT(*) = COUNT(DISTINCT {name}) FROM {table}"))
    }

    fn points(&self, link: Link) -> bool {
        let ((table, name), (other, key)) = (self.quoted(link.from), self.quoted(link.to));
        self.holds(&format!(
            "SELECT COUNT({name}) > 1 AND COUNT({name}) = SUM({name} IN (SELECT {key} FROM {other})) FROM {table}"
        ))
    }

    fn quoted(&self, (t, c): (usize, usize)) -> (String, String) {
        let info: &TableInfo = &self.tables()[t];
        (quote(&info.name), quote(&info.columns[c].name))
    }

    fn holds(&self, sql: &str) -> bool {
        self.connection.query_row(sql, [], |row| row.get::<_, Option<bool>>(0)).ok().flatten().unwrap_or(false)
    }
}
