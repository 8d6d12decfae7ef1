//! JSON and JSON lines as tables: arrays of objects, nested objects flattened, other shapes where they are clear.
//!
//! Must not know: what cells mean ([`super::infer`]).

use serde_json::{Map, Value as Json};

use super::{BadRow, Error, Raw, RawRow, fix_columns};

/// Objects inside objects are flattened this deep; deeper ones are kept as JSON text.
const MAX_DEPTH: usize = 3;
/// Columns of one table; objects with data for keys could ask for any number.
const MAX_COLUMNS: usize = 1000;

/// Whether the text is JSON or JSON lines, judged by its first line or the whole.
pub(super) fn looks_like(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    serde_json::from_str::<Json>(first).is_ok() || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The table in a JSON text: an array, an object that holds one, or key and value.
pub(super) fn parse(path: &str, text: &str) -> Result<Raw, Error> {
    let value: Json = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(_) if text.lines().filter(|line| serde_json::from_str::<Json>(line).is_ok()).count() > 1 => {
            return Ok(parse_lines(text));
        }
        Err(error) => return Err(Error::Arguments(format!("{path} is not valid JSON: {error}"))),
    };
    of_value(path, value)
}

fn of_value(path: &str, value: Json) -> Result<Raw, Error> {
    match value {
        Json::Array(items) => {
            Ok(from_items(items.into_iter().enumerate().map(|(idx, item)| (idx + 1, item)).collect()))
        }
        Json::Object(members) => from_object(path, members),
        other => Err(Error::Arguments(format!("{path} holds the single value {other}; expected an array of objects"))),
    }
}

/// All tables in a JSON text: that of [`parse`] under the name of the file, or each of several under the name of its key;
/// and a list of objects inside of rows as a table of its own, whose rows repeat the single values of the row around them.
pub(super) fn parse_all(path: &str, text: &str) -> Result<Vec<(String, Raw)>, Error> {
    let Ok(value) = serde_json::from_str::<Json>(text) else {
        return Ok(vec![(super::stem(path).to_owned(), parse(path, text)?)]);
    };
    let numbered = |items: &[Json]| items.iter().cloned().enumerate().map(|(idx, item)| (idx + 1, item)).collect();
    let lists = lists(&value);
    let inner: Vec<(String, Vec<Json>)> = lists.iter().flat_map(|(_, items)| inner_lists(items)).collect();
    let mut tables = match lists.as_slice() {
        [] | [_] => vec![(super::stem(path).to_owned(), of_value(path, value)?)],
        several => several.iter().map(|(name, items)| ((*name).to_owned(), from_items(numbered(items)))).collect(),
    };
    for (name, rows) in inner {
        if !tables.iter().any(|(known, _)| *known == name) {
            tables.push((name, from_items(numbered(&rows))));
        }
    }
    Ok(tables)
}

/// Whether a value is a list that can be a table.
pub fn is_list_of_objects(value: &Json) -> bool {
    value.as_array().is_some_and(|items| items.iter().any(Json::is_object))
}

/// The lists of objects at the top of a JSON value, with their keys.
fn lists(value: &Json) -> Vec<(&str, &[Json])> {
    match value {
        Json::Array(items) if is_list_of_objects(value) => vec![("", items)],
        Json::Object(members) => {
            let lists = members.iter().filter(|(_, value)| is_list_of_objects(value));
            lists.filter_map(|(name, value)| Some((name.as_str(), value.as_array()?.as_slice()))).collect()
        }
        _ => Vec::new(),
    }
}

/// The lists of objects that the rows of a list hold, by their keys, each over all rows.
fn inner_lists(rows: &[Json]) -> Vec<(String, Vec<Json>)> {
    let mut lists: Vec<(String, Vec<Json>)> = Vec::new();
    for row in rows.iter().filter_map(Json::as_object) {
        let is_single = |value: &Json| !value.is_array() && !value.is_object();
        let outer: Vec<(&String, &Json)> = row.iter().filter(|(_, value)| is_single(value)).collect();
        for (name, items) in row.iter().filter(|(_, value)| is_list_of_objects(value)) {
            let place = lists.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                lists.push((name.clone(), Vec::new()));
                lists.len() - 1
            });
            for item in items.as_array().into_iter().flatten().filter_map(Json::as_object) {
                let mut all: Map<String, Json> =
                    outer.iter().map(|(name, value)| ((*name).clone(), (*value).clone())).collect();
                for (own, value) in item {
                    let own = if all.contains_key(own) { format!("{name}_{own}") } else { own.clone() };
                    all.insert(own, value.clone());
                }
                lists[place].1.push(Json::Object(all));
            }
        }
    }
    lists
}

/// One JSON value per line; a line that is not JSON is a bad row.
pub(super) fn parse_lines(text: &str) -> Raw {
    let mut items = Vec::new();
    let mut bad_rows = Vec::new();
    for (idx, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(item) => items.push((idx + 1, item)),
            Err(error) => {
                let why = format!("is not valid JSON: {error}");
                bad_rows.push(BadRow { line: idx + 1, text: line.to_owned(), why });
            }
        }
    }
    let mut raw = from_items(items);
    raw.bad_rows.extend(bad_rows);
    raw
}

/// An object: the one array of objects in it, else a row per member.
fn from_object(path: &str, mut members: Map<String, Json>) -> Result<Raw, Error> {
    let is_table = is_list_of_objects;
    let names: Vec<String> =
        members.iter().filter(|(_, value)| is_table(value)).map(|(name, _)| name.clone()).collect();
    match names.as_slice() {
        [] => {}
        [name] => {
            let Some(Json::Array(items)) = members.remove(name) else { unreachable!("`is_table` saw an array") };
            let mut raw = from_items(items.into_iter().enumerate().map(|(idx, item)| (idx + 1, item)).collect());
            if !members.is_empty() {
                let others: Vec<_> = members.keys().take(8).map(|key| format!("`{key}`")).collect();
                raw.notes.push(format!("{path}: the table is `{name}`; {} stand beside it", others.join(", ")));
            }
            return Ok(raw);
        }
        several => {
            let named = several.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(Error::Arguments(format!("{path} holds several tables ({named}); use a script for it")));
        }
    }
    // A wrapper such as {"data": {"items": […]}}.
    if let [value @ Json::Object(_)] = members.values().collect::<Vec<_>>().as_slice()
        && let Json::Object(inner) = (*value).clone()
        && inner.values().any(is_table)
    {
        return from_object(path, inner);
    }
    let items = members.into_iter().enumerate().map(|(idx, (key, value))| {
        let mut item = Map::from_iter([("key".to_owned(), Json::String(key))]);
        match value {
            Json::Object(fields) => item.extend(fields),
            value => _ = item.insert("value".to_owned(), value),
        }
        (idx + 1, Json::Object(item))
    });
    Ok(from_items(items.collect()))
}

/// Rows from numbered items; those of another shape than the first are bad rows.
fn from_items(items: Vec<(usize, Json)>) -> Raw {
    match items.first() {
        Some((_, Json::Array(_))) => from_arrays(items),
        Some((_, first)) if !first.is_object() && items.iter().all(|(_, item)| !item.is_object()) => {
            let rows = items.into_iter().map(|(line, item)| RawRow { line, span: None, cells: vec![cell(item)] });
            Raw { columns: vec!["value".to_owned()], rows: rows.collect(), ..Raw::default() }
        }
        _ => from_objects(items),
    }
}

fn from_objects(items: Vec<(usize, Json)>) -> Raw {
    let mut raw = Raw::default();
    let mut flat_rows = Vec::with_capacity(items.len());
    let mut known = std::collections::HashMap::new();
    for (line, item) in items {
        let Json::Object(members) = item else {
            raw.bad_rows.push(BadRow { line, text: item.to_string(), why: "is not an object".into() });
            continue;
        };
        let mut flat = Vec::new();
        flatten("", members, 0, &mut flat);
        for (name, _) in &flat {
            if known.len() < MAX_COLUMNS && !known.contains_key(name) {
                known.insert(name.clone(), known.len());
                raw.columns.push(name.clone());
            }
        }
        flat_rows.push((line, flat));
    }
    for (line, flat) in flat_rows {
        let mut cells = vec![Json::Null; raw.columns.len()];
        for (name, value) in flat {
            if let Some(idx) = known.get(&name) {
                cells[*idx] = value;
            }
        }
        raw.rows.push(RawRow { line, span: None, cells });
    }
    raw.columns = fix_columns(raw.columns, &mut raw.notes);
    raw
}

/// Members of members as `outer_inner`.
fn flatten(prefix: &str, members: Map<String, Json>, depth: usize, flat: &mut Vec<(String, Json)>) {
    for (name, value) in members {
        let name = if prefix.is_empty() { name } else { format!("{prefix}_{name}") };
        match value {
            Json::Object(inner) if depth < MAX_DEPTH && !inner.is_empty() => flatten(&name, inner, depth + 1, flat),
            value => flat.push((name, cell(value))),
        }
    }
}

/// Arrays of arrays: the first one is the header if it is all texts.
fn from_arrays(items: Vec<(usize, Json)>) -> Raw {
    let mut raw = Raw::default();
    let mut items = items.into_iter().peekable();
    let first = items.peek().and_then(|(_, item)| item.as_array());
    let width = first.map_or(0, Vec::len);
    let names =
        first.and_then(|cells| cells.iter().map(|cell| cell.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
    raw.columns = match names {
        Some(names) => {
            items.next();
            fix_columns(names, &mut raw.notes)
        }
        None => (1..=width).map(|idx| format!("c{idx}")).collect(),
    };
    for (line, item) in items {
        match item {
            Json::Array(cells) if cells.len() == width => {
                raw.rows.push(RawRow { line, span: None, cells: cells.into_iter().map(cell).collect() });
            }
            item => {
                let why = format!("is not an array of {width} cells");
                raw.bad_rows.push(BadRow { line, text: item.to_string(), why });
            }
        }
    }
    raw
}

/// A cell is a scalar; what is not becomes its JSON text.
fn cell(value: Json) -> Json {
    match value {
        Json::String(text) => match text.trim() {
            "" => Json::Null,
            trimmed if trimmed.len() == text.len() => Json::String(text),
            trimmed => Json::String(trimmed.to_owned()),
        },
        Json::Array(_) | Json::Object(_) => Json::String(value.to_string()),
        scalar => scalar,
    }
}
