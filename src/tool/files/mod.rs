//! The tools that list, read, write, move and copy files.
//!
//! None of them changes anything: what is to be written is returned as a [`Change`], checked here already
//! so that the caller hears of a refusal while it can still choose another name.

#[cfg(test)]
mod tests;

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use serde_json::Value as Json;

use super::call::{Arguments, count, existing_path, new_path, schema, text, tool};
use super::workspace::{Entry, LIST_LIMIT, decode};
use super::{Change, Context, Effect, Error, Output, Spec, Table, Tool, Value, Workspace};

/// Most bytes of text that one call of `read_file` returns.
const READ_LIMIT: usize = 64 << 10;

/// Most bytes that a file written by a tool may have.
const WRITE_LIMIT: usize = 16 << 20;

/// The tools of this file.
pub fn tools() -> Vec<Arc<dyn Tool>> {
    vec![tool(list_spec(), list), tool(read_spec(), read), tool(write_spec(), write), tool(append_spec(), append)]
        .into_iter()
        .chain([tool(move_spec(), rename), tool(copy_spec(), copy), tool(folder_spec(), make_folder)])
        .collect()
}

fn list_spec() -> Spec {
    Spec {
        name: "list_files",
        description: "Lists the files below a folder as a table: their paths and sizes, or their titles, lines or words. Use it to learn which files there are.",
        schema: schema(
            0,
            &[
                ("folder", existing_path("folder to list; everything if left out")),
                ("pattern", text(100, "only names or paths like this, e.g. *.csv or notes/**/*.md")),
                (
                    "show",
                    text(
                        60,
                        "columns besides the path, of bytes, modified, title, lines, words; the first two if left out",
                    ),
                ),
            ],
        ),
        effects: &[Effect::Reads],
    }
}

fn list(arguments: &Arguments<'_>, context: &Context<'_>) -> Result<Output, Error> {
    let folder = arguments.find_text("folder")?.unwrap_or("");
    let pattern = arguments.find_text("pattern")?.filter(|pattern| !pattern.is_empty());
    let entries = context.workspace.list(folder, pattern)?;
    let mut notes = Vec::new();
    if entries.len() >= LIST_LIMIT {
        notes.push(format!("only the first {LIST_LIMIT} files and folders are listed; name a folder or a pattern"));
    }
    let shown = shown(arguments.find_text("show")?.unwrap_or("bytes, modified"))?;
    let cells = |entry: Entry| {
        let texts = ["title", "lines", "words"].iter().any(|name| shown.contains(name));
        let text = if texts { context.workspace.read_text(&entry.path).ok() } else { None };
        let own = shown.iter().map(|column| cell(column, &entry, text.as_deref()));
        std::iter::once(entry.path.as_str().into()).chain(own).collect::<Vec<Json>>()
    };
    let rows: Vec<Vec<Json>> = entries.into_iter().filter(|entry| !entry.is_folder).map(cells).collect();
    if let (true, Some(pattern)) = (rows.is_empty(), pattern) {
        notes.push(format!("no file is named like {pattern}"));
    }
    let columns = std::iter::once("path").chain(shown).map(str::to_owned).collect();
    Ok(Output { value: Value::Table(Table { columns, rows }), changes: Vec::new(), notes })
}

/// What a list of files can tell of each besides its path.
const SHOWN: [&str; 5] = ["bytes", "modified", "title", "lines", "words"];

/// The columns that a list of names means, in its order.
fn shown(names: &str) -> Result<Vec<&'static str>, Error> {
    let names = names.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty() && *name != "path");
    let column = |name: &str| {
        let unknown = || Error::Arguments(format!("list_files shows no {name:?}; it shows {}", SHOWN.join(", ")));
        SHOWN.iter().find(|column| **column == name).copied().ok_or_else(unknown)
    };
    names.map(column).collect()
}

/// One fact of a file; `null` where it is of a text and the file is none.
fn cell(column: &str, entry: &Entry, text: Option<&str>) -> Json {
    match (column, text) {
        ("bytes", _) => entry.bytes.into(),
        ("modified", _) => date_time(entry.modified_ms).into(),
        ("title", Some(text)) => title(text).into(),
        ("lines", Some(text)) => text.lines().count().into(),
        ("words", Some(text)) => text.split_whitespace().count().into(),
        _ => Json::Null,
    }
}

/// The first heading of a text, else its first line.
fn title(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.clone().next().unwrap_or_default();
    let heading = lines.find(|line| line.starts_with('#')).unwrap_or(first);
    heading.trim_start_matches('#').trim()
}

/// Milliseconds since 1970 as `2025-03-01 14:30:05` in universal time.
fn date_time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |time| time.strftime("%F %T").to_string())
}

fn read_spec() -> Spec {
    Spec {
        name: "read_file",
        description: "Reads a text file, or a range of its lines. Use it for prose, notes, code and settings; use query_table for tables.",
        schema: schema(
            1,
            &[
                ("path", existing_path("file to read")),
                ("from_line", count("first line to read, counted from 1")),
                ("n_lines", count("how many lines to read")),
            ],
        ),
        effects: &[Effect::Reads],
    }
}

fn read(arguments: &Arguments<'_>, context: &Context<'_>) -> Result<Output, Error> {
    let path = arguments.text("path")?;
    let from_line = arguments.find_count("from_line")?.unwrap_or(1);
    let n_lines = arguments.find_count("n_lines")?.unwrap_or(usize::MAX);
    let mut file = context.workspace.open_file(path)?;
    let failed = |error: std::io::Error| Error::Failed(format!("reading {path}: {error}"));
    let n_bytes = file.metadata().map_err(failed)?.len();
    let mut head = Vec::new();
    file.by_ref().take(8192).read_to_end(&mut head).map_err(failed)?;
    // UTF-16 has no lines of bytes: such a file is decoded whole, any other is read as far as needed.
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        let (text, note) = context.workspace.read_text_noted(path)?;
        let mut window = Window::read(&mut text.as_bytes(), from_line, n_lines).map_err(failed)?;
        window.n_left = (text.len() - window.n_read) as u64;
        return window.output(path, from_line, note);
    }
    decode(path, &head)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut window = Window::read(&mut BufReader::new(file), from_line, n_lines).map_err(failed)?;
    window.n_left = n_bytes.saturating_sub(window.n_read as u64);
    window.output(path, from_line, None)
}

/// The lines of a file that one call returns.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    n_lines: usize,
    n_skipped: usize,
    /// Bytes of the file up to the end of the window, and after it.
    n_read: usize,
    n_left: u64,
    is_cut: bool,
}

impl Window {
    fn read(file: &mut dyn BufRead, from_line: usize, n_lines: usize) -> std::io::Result<Self> {
        let mut window = Self::default();
        while window.n_skipped + 1 < from_line {
            let n_bytes = skip_line(file)?;
            if n_bytes == 0 {
                return Ok(window);
            }
            window.n_read += n_bytes;
            window.n_skipped += 1;
        }
        while window.n_lines < n_lines {
            let room = READ_LIMIT - window.bytes.len();
            let mut line = Vec::new();
            let n_bytes = file.take(room as u64 + 1).read_until(b'\n', &mut line)?;
            if n_bytes == 0 {
                break;
            }
            if n_bytes > room {
                window.cut(&line, room);
                break;
            }
            window.bytes.append(&mut line);
            window.n_lines += 1;
            window.n_read += n_bytes;
        }
        Ok(window)
    }

    /// The line does not fit. The first one is cut, or a file of one long line could not be read at all.
    fn cut(&mut self, line: &[u8], room: usize) {
        self.is_cut = true;
        if self.n_lines == 0 {
            let end = (room - 3..=room).rev().find(|&end| line[end] & 0xc0 != 0x80).unwrap_or(room);
            self.bytes.extend(&line[..end]);
            self.n_lines = 1;
            self.n_read += end;
        }
    }

    fn output(self, path: &str, from_line: usize, note: Option<String>) -> Result<Output, Error> {
        if self.n_lines == 0 && from_line > 1 {
            let n_lines = self.n_skipped;
            return Err(Error::Arguments(format!("{path} has {n_lines} lines; from_line {from_line} is past its end")));
        }
        let (text, assumed) = decode(path, &self.bytes)?;
        let mut notes: Vec<String> = note.or(assumed).into_iter().collect();
        let last = from_line + self.n_lines.saturating_sub(1);
        if self.is_cut && self.n_left > 0 {
            notes.push(format!(
                "{path}: lines {from_line} to {last} are shown, {} bytes are left; call again with from_line {}",
                self.n_left,
                last + 1
            ));
        } else if self.n_left > 0 {
            notes.push(format!("{path}: lines {from_line} to {last} are shown, {} bytes are left", self.n_left));
        }
        Ok(Output { value: Value::Text(text), changes: Vec::new(), notes })
    }
}

/// Reads past the end of the line without keeping it; the bytes that it had, 0 at the end of the file.
fn skip_line(file: &mut dyn BufRead) -> std::io::Result<usize> {
    let mut n_bytes = 0;
    loop {
        let buffer = file.fill_buf()?;
        let (n_used, is_done) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        file.consume(n_used);
        n_bytes += n_used;
        if is_done {
            return Ok(n_bytes);
        }
    }
}

fn write_spec() -> Spec {
    Spec {
        name: "write_file",
        description: "Writes a new text file with the given content. Use it only for short text that you know; results of other steps are written by reference.",
        schema: schema(
            2,
            &[("path", new_path("file to write")), ("content", text(20_000, "the whole text of the file"))],
        ),
        effects: &[Effect::Writes],
    }
}

fn write(arguments: &Arguments<'_>, context: &Context<'_>) -> Result<Output, Error> {
    let path = arguments.text("path")?;
    propose_write(context.workspace, path, arguments.text("content")?.to_owned())
}

fn propose_write(workspace: &Workspace, path: &str, content: String) -> Result<Output, Error> {
    if content.len() > WRITE_LIMIT {
        let n_bytes = content.len();
        return Err(Error::Limit(format!("{path} would have {n_bytes} bytes; at most {WRITE_LIMIT} can be written")));
    }
    propose(workspace, Change::Write { path: workspace.normalize(path)?, content })
}

/// The output of a step that wants this change: its value is the path that exists afterwards.
pub fn propose(workspace: &Workspace, change: Change) -> Result<Output, Error> {
    workspace.check(&change)?;
    Ok(Output { value: Value::Text(change.target().to_owned()), changes: vec![change], notes: Vec::new() })
}

fn append_spec() -> Spec {
    Spec {
        name: "append_file",
        description: "Adds text at the end of a text file, on a new line; makes the file if there is none.",
        schema: schema(2, &[("path", new_path("file to add to")), ("content", text(20_000, "the text to add"))]),
        effects: &[Effect::Reads, Effect::Writes],
    }
}

fn append(arguments: &Arguments<'_>, context: &Context<'_>) -> Result<Output, Error> {
    let (path, added) = (arguments.text("path")?, arguments.text("content")?);
    let workspace = context.workspace;
    if !workspace.exists(path) {
        return propose_write(workspace, path, added.to_owned());
    }
    let bytes = workspace.read(path, WRITE_LIMIT as u64)?;
    let mut content = String::from_utf8(bytes)
        .map_err(|_| Error::Arguments(format!("{path} is not UTF-8 text; write the whole text to another file")))?;
    if !content.is_empty() && !content.ends_with('\n') {
        content.push('\n');
    }
    propose_write(workspace, path, content + added)
}

fn move_spec() -> Spec {
    Spec {
        name: "move_file",
        description: "Moves or renames a file or folder.",
        schema: schema(
            2,
            &[
                ("from", existing_path("file or folder to move")),
                ("to", new_path("its new path, or an existing folder to put it in")),
            ],
        ),
        effects: &[Effect::Writes],
    }
}

fn rename(arguments: &Arguments<'_>, context: &Context<'_>) -> Result<Output, Error> {
    let (from, to) = source_and_target(arguments, context.workspace)?;
    propose(context.workspace, Change::Move { from, to })
}

fn copy_spec() -> Spec {
    Spec {
        name: "copy_file",
        description: "Copies a file of any kind; the original stays.",
        schema: schema(
            2,
            &[
                ("from", existing_path("file to copy")),
                ("to", new_path("path of the copy, or an existing folder to put it in")),
            ],
        ),
        effects: &[Effect::Reads, Effect::Writes],
    }
}

fn copy(arguments: &Arguments<'_>, context: &Context<'_>) -> Result<Output, Error> {
    let (from, to) = source_and_target(arguments, context.workspace)?;
    propose(context.workspace, Change::Copy { from, to })
}

/// `from` must exist; a `to` that is a folder or ends with `/` takes the name of `from`.
fn source_and_target(arguments: &Arguments<'_>, workspace: &Workspace) -> Result<(String, String), Error> {
    let from = workspace.metadata(arguments.text("from")?)?.path;
    let to = arguments.text("to")?;
    let target = workspace.normalize(to)?;
    let is_folder = to.ends_with('/') || workspace.metadata(&target).is_ok_and(|entry| entry.is_folder);
    let name = from.rsplit('/').next().unwrap_or(&from);
    let target = match (is_folder, target.is_empty()) {
        (false, _) => target,
        (true, true) => name.to_owned(),
        (true, false) => format!("{target}/{name}"),
    };
    Ok((from, target))
}

fn folder_spec() -> Spec {
    Spec {
        name: "make_folder",
        description: "Makes an empty folder. Not needed before writing a file: folders are made on the way.",
        schema: schema(1, &[("path", new_path("folder to make"))]),
        effects: &[Effect::Writes],
    }
}

fn make_folder(arguments: &Arguments<'_>, context: &Context<'_>) -> Result<Output, Error> {
    let path = context.workspace.normalize(arguments.text("path")?)?;
    propose(context.workspace, Change::MakeFolder { path })
}
