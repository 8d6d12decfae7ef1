//! A path into a JSON value: parsed, followed, and explained where it leads nowhere.

use serde_json::Value as Json;

use super::Error;

/// Keys named in an error.
const NAMED_KEYS: usize = 20;

/// What is at a path.
pub struct Found {
    /// The value; an array of values if the path has a `*`.
    pub json: Json,
    /// Items below a `*` that lack the rest of the path, if any.
    pub n_without: Option<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Key(String),
    /// From the end if negative.
    Index(i64),
    Every,
}

/// Follows `query` into `json`.
///
/// # Errors
/// [`Error::Arguments`] naming the place where the path ends and what is there.
pub fn get(json: &Json, query: &str) -> Result<Found, Error> {
    let parts = parse(query)?;
    let has_star = parts.contains(&Part::Every);
    let (mut found, mut n_without) = (Vec::new(), 0);
    follow(json, &parts, &mut String::new(), &mut Collected { found: &mut found, n_without: &mut n_without })?;
    let json = if has_star { Json::Array(found) } else { found.pop().unwrap_or(Json::Null) };
    Ok(Found { json, n_without: (n_without > 0).then_some(n_without) })
}

struct Collected<'a> {
    found: &'a mut Vec<Json>,
    n_without: &'a mut usize,
}

/// `place`: the path so far, for errors.
fn follow(json: &Json, parts: &[Part], place: &mut String, collected: &mut Collected<'_>) -> Result<(), Error> {
    let Some((part, rest)) = parts.split_first() else {
        collected.found.push(json.clone());
        return Ok(());
    };
    match (part, json) {
        (Part::Every, Json::Array(items)) => follow_every(items.iter(), rest, place, collected),
        (Part::Every, Json::Object(fields)) => follow_every(fields.values(), rest, place, collected),
        (Part::Key(key), Json::Object(fields)) => match fields.get(key) {
            Some(value) => follow(value, rest, &mut joined(place, key), collected),
            None => Err(no_such(place, &format!("key {key:?}"), json)),
        },
        (Part::Index(index), Json::Array(items)) => match at(items, *index) {
            Some(item) => follow(item, rest, &mut format!("{place}[{index}]"), collected),
            None => Err(no_such(place, &format!("item [{index}]"), json)),
        },
        // `items.0` and the pointer `/items/0` mean an index; `years[2025]` may mean a key.
        (Part::Key(key), Json::Array(_)) => match key.parse() {
            Ok(index) => follow(json, &with_first(Part::Index(index), rest), place, collected),
            Err(_) => Err(no_such(place, &format!("key {key:?}"), json)),
        },
        (Part::Index(index), Json::Object(_)) => {
            follow(json, &with_first(Part::Key(index.to_string()), rest), place, collected)
        }
        (part, _) => Err(no_such(place, &part.shown(), json)),
    }
}

fn with_first(first: Part, rest: &[Part]) -> Vec<Part> {
    std::iter::once(first).chain(rest.iter().cloned()).collect()
}

/// Items that lack the rest of the path are counted; it is an error if all do.
fn follow_every<'a>(
    items: impl Iterator<Item = &'a Json>,
    rest: &[Part],
    place: &str,
    collected: &mut Collected<'_>,
) -> Result<(), Error> {
    let mut first_error = None;
    let (mut n_found, mut n_failed) = (0, 0);
    for (i, item) in items.enumerate() {
        match follow(item, rest, &mut format!("{place}[{i}]"), collected) {
            Ok(()) => n_found += 1,
            Err(error) => {
                n_failed += 1;
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if n_found == 0 => Err(error),
        _ => {
            *collected.n_without += n_failed;
            Ok(())
        }
    }
}

fn at(items: &[Json], index: i64) -> Option<&Json> {
    let from_start = if index < 0 { items.len() as i64 + index } else { index };
    usize::try_from(from_start).ok().and_then(|index| items.get(index))
}

fn joined(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

fn no_such(place: &str, wanted: &str, json: &Json) -> Error {
    let place = if place.is_empty() { "the file" } else { place };
    let what = match json {
        Json::Object(fields) if fields.is_empty() => "is an empty object".to_owned(),
        Json::Object(fields) => {
            let keys: Vec<&str> = fields.keys().take(NAMED_KEYS).map(String::as_str).collect();
            let more = if fields.len() > NAMED_KEYS { ", …" } else { "" };
            format!("has the keys {}{more}", keys.join(", "))
        }
        Json::Array(items) => format!("is an array of {} items", items.len()),
        scalar => format!("is {}", super::super::Value::Json(scalar.clone()).preview(60)),
    };
    Error::Arguments(format!("there is no {wanted} in {place}, which {what}"))
}

impl Part {
    fn shown(&self) -> String {
        match self {
            Self::Key(key) => format!("key {key:?}"),
            Self::Index(index) => format!("item [{index}]"),
            Self::Every => "list for [*]".to_owned(),
        }
    }
}

/// Splits a path into its parts.
fn parse(query: &str) -> Result<Vec<Part>, Error> {
    let query = query.trim();
    if let Some(pointer) = query.strip_prefix('/') {
        let unescaped = |part: &str| part.replace("~1", "/").replace("~0", "~");
        return Ok(pointer.split('/').map(|part| Part::Key(unescaped(part))).collect());
    }
    let mut rest = query.strip_prefix('$').unwrap_or(query);
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (part, after) = match rest.strip_prefix('[') {
            Some(inside) => bracket(inside, query)?,
            None => key(rest, query)?,
        };
        parts.push(part);
        rest = after;
    }
    Ok(parts)
}

/// `name`, `.name` or `.*`, up to the next dot or bracket.
fn key<'a>(rest: &'a str, query: &str) -> Result<(Part, &'a str), Error> {
    let name = rest.strip_prefix('.').unwrap_or(rest);
    let end = name.find(['.', '[']).unwrap_or(name.len());
    match &name[..end] {
        "" if name.starts_with('[') => bracket(&name[1..], query),
        "" => Err(malformed(query, "a name is missing after a dot")),
        "*" => Ok((Part::Every, &name[end..])),
        key => Ok((Part::Key(key.to_owned()), &name[end..])),
    }
}

/// What follows a `[`: an index, `*`, or a quoted key.
fn bracket<'a>(inside: &'a str, query: &str) -> Result<(Part, &'a str), Error> {
    if let Some(quote) = inside.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let close = format!("{quote}]");
        let end = inside[1..].find(&close).ok_or_else(|| malformed(query, &format!("{close} is missing")))?;
        return Ok((Part::Key(inside[1..=end].to_owned()), &inside[end + 3..]));
    }
    let end = inside.find(']').ok_or_else(|| malformed(query, "a ] is missing"))?;
    let part = match inside[..end].trim() {
        "*" | "" => Part::Every,
        index => match index.parse() {
            Ok(index) => Part::Index(index),
            Err(_) => {
                return Err(malformed(query, &format!("[{index}] is not an index; quote keys, as in [\"{index}\"]")));
            }
        },
    };
    Ok((part, &inside[end + 1..]))
}

fn malformed(query: &str, problem: &str) -> Error {
    Error::Arguments(format!("the path {query:?} cannot be read: {problem}; expected something like items[0].name"))
}
