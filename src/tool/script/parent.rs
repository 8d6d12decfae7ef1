//! The parent's side of a running script: starts the child, answers its calls, ends it at the deadline.
//!
//! Every call is recorded before its answer is used. The child is killed when it computes for too long,
//! and when the parent goes out of the conversation for any reason.
//!
//! Must not know: the interpreter.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};

use super::overlay::{Overlay, raise};
use super::protocol::{Exception, Failure, Finished, Job, Reply, Said};
use super::{ARGUMENT, explain};
use crate::tool::query::Database;
use crate::tool::{Change, Context, Error, Value, table};

/// Longest that the interpreter may compute, host calls aside.
const MAX_COMPUTE: Duration = Duration::from_secs(10);
/// Longest that the child may say nothing, host calls aside; the child's own limit comes first.
const MAX_SILENCE: Duration = Duration::from_secs(20);
/// Most calls of one script.
const MAX_CALLS: usize = 10_000;
/// Longest line of the child, in bytes.
const MAX_LINE: u64 = 80 << 20;
/// How much of the child's last words is kept, in bytes.
const MAX_LAST_WORDS: u64 = 2000;

/// What a script came to.
pub(super) struct Outcome {
    pub finished: Finished,
    pub changes: Vec<Change>,
}

/// Runs `code` in a child made of `program`, to its end.
pub(super) fn run(
    program: &Path,
    code: &str,
    inputs: Map<String, Json>,
    context: &Context<'_>,
) -> Result<Outcome, Error> {
    let mut process = Process::start(program)?;
    let left = context.deadline.saturating_duration_since(Instant::now());
    #[allow(clippy::cast_possible_truncation)] // at most `MAX_COMPUTE`
    let compute_ms = left.min(MAX_COMPUTE).as_millis() as u64;
    process.say(&Job { code: code.to_owned(), inputs, compute_ms })?;
    let mut session = Session::new(context);
    loop {
        match process.hear(context.deadline)? {
            Said::Call { name, arguments } => {
                let reply = session.answer(&name, &arguments);
                process.say(&reply)?;
            }
            Said::Done(finished) => return Ok(Outcome { finished, changes: session.overlay.into_changes() }),
            Said::Failed(failure) => return Err(session.explain(&failure)),
        }
    }
}

/// The child and the line to it. Dropping it ends the child.
struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<std::io::Result<String>>,
}

impl Process {
    fn start(program: &Path) -> Result<Self, Error> {
        let wrong = |error: std::io::Error| Error::Failed(format!("starting the script's process: {error}"));
        let mut command = Command::new(program);
        command.arg(ARGUMENT).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(wrong)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Failed("the script's process has no pipes".into()));
        };
        let (sender, lines) = sync_channel(1);
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            loop {
                let mut line = String::new();
                let read = (&mut output).take(MAX_LINE).read_line(&mut line);
                let is_end = matches!(read, Ok(0) | Err(_));
                if sender.send(read.map(|_| line)).is_err() || is_end {
                    return;
                }
            }
        });
        Ok(Self { child, input, lines })
    }

    fn say(&mut self, what: &impl serde::Serialize) -> Result<(), Error> {
        let mut line = serde_json::to_vec(what).map_err(|error| Error::Failed(error.to_string()))?;
        line.push(b'\n');
        // If the child is gone, why it went is heard next.
        _ = self.input.write_all(&line).and_then(|()| self.input.flush());
        Ok(())
    }

    fn hear(&mut self, deadline: Instant) -> Result<Said, Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left.min(MAX_SILENCE)) {
            Ok(Ok(line)) if !line.is_empty() => serde_json::from_str(&line).map_err(|_| {
                Error::Failed("the script's process does not speak the protocol; is it this program?".into())
            }),
            Ok(_) | Err(RecvTimeoutError::Disconnected) => Err(self.gone()),
            Err(RecvTimeoutError::Timeout) => Err(Error::Limit(explain::TOO_LONG.into())),
        }
    }

    /// Why the child ended without a last line.
    fn gone(&mut self) -> Error {
        let status = self.child.wait();
        let mut words = String::new();
        if let Some(stderr) = self.child.stderr.take() {
            _ = stderr.take(MAX_LAST_WORDS).read_to_string(&mut words);
        }
        match status {
            Ok(status) if words.contains("memory allocation") || words.contains("out of memory") => {
                let _ = status;
                Error::Limit("MemoryError: the script needs more memory than it may have".into())
            }
            Ok(status) if words.contains("overflowed its stack") => {
                let _ = status;
                Error::Limit("RecursionError: the script is nested too deeply".into())
            }
            Ok(status) => {
                Error::Limit(format!("the script's process ended early ({status}); it took too much time or memory"))
            }
            Err(error) => Error::Failed(format!("the script's process is lost: {error}")),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The calls of one script.
struct Session<'a> {
    context: &'a Context<'a>,
    overlay: Overlay<'a>,
    /// Files that the script has read, for hints on their columns.
    read: BTreeSet<String>,
    n_calls: usize,
}

impl<'a> Session<'a> {
    fn new(context: &'a Context<'a>) -> Self {
        Self { context, overlay: Overlay::new(context.workspace), read: BTreeSet::new(), n_calls: 0 }
    }

    /// Does what the script asks, records it, and gives the reply.
    fn answer(&mut self, name: &str, arguments: &[Json]) -> Reply {
        self.n_calls += 1;
        let answer = if self.n_calls > MAX_CALLS {
            Err(Exception::new("RuntimeError", format!("a script can make {MAX_CALLS} calls at most")))
        } else {
            self.call(name, arguments)
        };
        let arguments = Json::Array(arguments.iter().map(brief).collect());
        let result = match &answer {
            Ok(value) if name == "ask" => value.clone(),
            Ok(value) => brief(value),
            Err(exception) => json!({ "raised": exception.kind, "message": exception.message }),
        };
        self.context.host.record(name, &arguments, &result);
        match answer {
            Ok(value) => Reply::Value(value),
            Err(exception) => Reply::Raise(exception),
        }
    }

    fn call(&mut self, name: &str, arguments: &[Json]) -> Result<Json, Exception> {
        let text = |idx: usize| {
            let of = arguments.get(idx).and_then(Json::as_str);
            of.ok_or_else(|| Exception::new("TypeError", format!("argument {} of {name} must be str", idx + 1)))
        };
        let flag = |idx: usize| arguments.get(idx) == Some(&Json::Bool(true));
        Ok(match name {
            "read_file" => {
                self.read.insert(text(0)?.to_owned());
                self.overlay.read(text(0)?)?.into()
            }
            "open_file" => self.overlay.open(text(0)?, text(1)?)?.into(),
            "write_file" => self.overlay.write(text(0)?, text(1)?.to_owned())?.into_json(),
            "stat" => self.overlay.stat(text(0)?).map_or(
                Json::Null,
                |stat| json!({ "folder": stat.is_folder, "bytes": stat.bytes, "modified_ms": stat.modified_ms }),
            ),
            "list_folder" => {
                let names = self.overlay.list(text(0)?)?.into_iter();
                names.map(|(name, is_folder)| json!({ "name": name, "folder": is_folder })).collect()
            }
            "glob" => self.overlay.glob(text(0)?, flag(1))?.into(),
            "make_folder" => self.overlay.make_folder(text(0)?, flag(1))?.into_json(),
            "remove_file" => self.overlay.remove(text(0)?)?.into_json(),
            "move_file" => self.overlay.transfer(text(0)?, text(1)?, false)?.into_json(),
            "copy_file" => self.overlay.transfer(text(0)?, text(1)?, true)?.into_json(),
            "ask" => {
                let questions = texts(arguments.first());
                self.context.host.ask(&questions).map_err(|error| raise(&error))?.into()
            }
            "query" => self.query(text(0)?, arguments.get(1))?,
            "table" => {
                self.read.insert(text(0)?.to_owned());
                let loaded = table::load(self.context.workspace, text(0)?, &table::Options::default());
                loaded.map_err(|error| raise(&error))?.table.objects().map(Json::Object).collect()
            }
            "now" => {
                let now = jiff::Zoned::now();
                json!([now.year(), now.month(), now.day(), now.hour(), now.minute(), now.second()])
            }
            _ => return Err(Exception::new("NameError", format!("name '{name}' is not defined"))),
        })
    }

    /// One SELECT over files as they were before the script; rows come as dictionaries.
    fn query(&self, sql: &str, files: Option<&Json>) -> Result<Json, Exception> {
        let files = texts(files);
        let database = Database::open(self.context.workspace, &files, &table::Options::default())
            .map_err(|error| raise(&error))?;
        let output = database.run(sql, self.context.deadline).map_err(|error| raise(&error))?;
        let Value::Table(table) = output.value else { return Ok(Json::Null) };
        Ok(table.objects().map(Json::Object).collect())
    }

    fn explain(&self, failure: &Failure) -> Error {
        explain::error(failure, self.context.workspace, &self.read)
    }
}

/// The texts of a list.
fn texts(list: Option<&Json>) -> Vec<String> {
    list.and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// What a call that gives nothing gives.
trait IntoJson {
    fn into_json(self) -> Json;
}

impl IntoJson for () {
    fn into_json(self) -> Json {
        Json::Null
    }
}

/// A value as it is recorded: long texts and lists by their size. What files hold need not be kept twice.
fn brief(value: &Json) -> Json {
    match value {
        Json::String(text) if text.len() > 200 => json!({ "characters": text.chars().count() }),
        Json::Array(items) if items.len() > 20 => json!({ "items": items.len() }),
        other => other.clone(),
    }
}
