//! One shape of value into another: JSON ↔ table, table → object.

use serde_json::{Map, Value as Json};

use super::cell::{cell_text, tidy};
use super::{Error, Table, Value};

/// `value` as a table: a table itself, an array, an object, or a text that holds one of these as JSON.
///
/// An array of objects gives a column per key, of arrays `column_1`, …, of scalars the column `value`.
/// An object of arrays of equal length gives a column per key, of objects a row per key, otherwise rows
/// of `key` and `value`.
///
/// # Errors
/// [`Error::Arguments`] if it is a single value or plain text.
pub fn to_table(value: &Value) -> Result<Table, Error> {
    match value {
        Value::Table(table) => Ok(table.clone()),
        Value::Json(Json::Array(items)) => Ok(from_items(items)),
        Value::Json(Json::Object(fields)) => Ok(from_fields(fields)),
        Value::Text(text) => match parse(text) {
            Some(json) => to_table(&Value::Json(json)),
            None => Err(no_table("a text")),
        },
        Value::Json(_) => Err(no_table("a single value")),
    }
}

fn no_table(what: &str) -> Error {
    Error::Arguments(format!(
        "{what} has no rows and columns; write it as text, bullet_list, numbered_list or json, or make a table first"
    ))
}

/// The array or object that a text holds, if it holds nothing else.
fn parse(text: &str) -> Option<Json> {
    let starts = text.trim_start().starts_with(['[', '{']);
    starts.then(|| serde_json::from_str(text).ok()).flatten()
}

fn from_items(items: &[Json]) -> Table {
    if !items.is_empty() && items.iter().all(Json::is_object) {
        return from_objects(items.iter().filter_map(Json::as_object));
    }
    if !items.is_empty() && items.iter().all(Json::is_array) {
        let rows: Vec<&Vec<Json>> = items.iter().filter_map(Json::as_array).collect();
        let n_columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let cell = |row: &&Vec<Json>, i| flat(row.get(i).unwrap_or(&Json::Null));
        return Table {
            columns: (1..=n_columns).map(|i| format!("column_{i}")).collect(),
            rows: rows.iter().map(|row| (0..n_columns).map(|i| cell(row, i)).collect()).collect(),
        };
    }
    Table { columns: vec!["value".into()], rows: items.iter().map(|item| vec![flat(item)]).collect() }
}

/// A column per key, in the order in which keys first appear.
fn from_objects<'a>(objects: impl Iterator<Item = &'a Map<String, Json>> + Clone) -> Table {
    let mut columns = Map::new();
    for key in objects.clone().flat_map(Map::keys) {
        columns.insert(key.clone(), Json::Null);
    }
    let columns: Vec<String> = columns.keys().cloned().collect();
    let row =
        |object: &Map<String, Json>| columns.iter().map(|key| flat(object.get(key).unwrap_or(&Json::Null))).collect();
    let rows = objects.map(row).collect();
    Table { columns, rows }
}

fn from_fields(fields: &Map<String, Json>) -> Table {
    if let [(_, Json::Array(items))] = fields.iter().collect::<Vec<_>>()[..] {
        return from_items(items);
    }
    if let Some(table) = from_columns(fields) {
        return table;
    }
    if !fields.is_empty() && fields.values().all(Json::is_object) {
        let mut table = from_objects(fields.values().filter_map(Json::as_object));
        table.columns.insert(0, "key".into());
        for (row, key) in table.rows.iter_mut().zip(fields.keys()) {
            row.insert(0, key.as_str().into());
        }
        return table;
    }
    let rows = fields.iter().map(|(key, value)| vec![key.as_str().into(), flat(value)]).collect();
    Table { columns: vec!["key".into(), "value".into()], rows }
}

/// `{"a": [1, 2], "b": [3, 4]}`: a table that is given column by column.
fn from_columns(fields: &Map<String, Json>) -> Option<Table> {
    let columns: Vec<&Vec<Json>> = fields.values().map(Json::as_array).collect::<Option<_>>()?;
    let n_rows = columns.first()?.len();
    if columns.iter().any(|column| column.len() != n_rows) {
        return None;
    }
    let rows = (0..n_rows).map(|i| columns.iter().map(|column| flat(&column[i])).collect()).collect();
    Some(Table { columns: fields.keys().cloned().collect(), rows })
}

/// A cell holds scalars only; what is nested becomes JSON text.
fn flat(json: &Json) -> Json {
    if json.is_array() || json.is_object() { Json::String(tidy(json).to_string()) } else { json.clone() }
}

/// `value` as JSON: a table as an array of objects, a text as what it holds or as a string.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Json(json) => tidy(json),
        Value::Text(text) => parse(text).unwrap_or_else(|| Json::String(text.trim_end().to_owned())),
        Value::Table(table) => table.rows.iter().map(|row| object(&table.columns, row)).collect(),
    }
}

fn object(columns: &[String], row: &[Json]) -> Json {
    Json::Object(columns.iter().cloned().zip(row.iter().map(tidy)).collect())
}

/// `value` as one JSON object, as [`super::Format::JsonObject`] says.
pub fn to_object(value: &Value) -> Result<Json, Error> {
    let table = match value {
        Value::Json(Json::Object(_)) => return Ok(to_json(value)),
        Value::Text(text) => match parse(text) {
            Some(json) => return to_object(&Value::Json(json)),
            None => return Err(Error::Arguments("a text is no JSON object; write it as text or json".into())),
        },
        _ => to_table(value)?,
    };
    match (table.columns.as_slice(), table.rows.as_slice()) {
        (columns, [row]) => Ok(object(columns, row)),
        ([column], _) => Err(Error::Arguments(format!(
            "a table with the one column {column} has no keys and values; write it as json, or select two columns"
        ))),
        _ => keyed(&table),
    }
}

fn keyed(table: &Table) -> Result<Json, Error> {
    let mut fields = Map::new();
    for row in &table.rows {
        let Some((first, rest)) = row.split_first() else { continue };
        let value = match rest {
            [value] => tidy(value),
            rest => object(&table.columns[1..], rest),
        };
        let key = cell_text(first);
        if fields.insert(key.clone(), value).is_some() {
            return Err(Error::Arguments(format!(
                "column {} holds {key:?} twice, but the keys of one object differ; group by it first, or write json",
                table.columns[0]
            )));
        }
    }
    Ok(Json::Object(fields))
}
