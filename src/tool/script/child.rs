//! The child process: takes a script from its parent, gives up every right it does not need, runs it.
//!
//! The interpreter has no access to the machine; whatever a script reads or writes is a call to the parent.
//! Limits of the operating system hold the rest: memory, time, no files, no processes. A script that breaks
//! one of them ends the child and nothing else.
//! Invariant: nothing but lines of the protocol is written to standard output.
//!
//! Must not know: the workspace.

use std::borrow::Cow;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Duration;

use monty::{MontyRepl, ReplProgress, ReplStartError};
use monty_types::{
    CompileOptions, ExcType, ExtFunctionResult, MontyDate, MontyDateTime, MontyException, MontyObject,
    NameLookupResult, OsFunctionCall, PrintWriter, PrintWriterCallback, ResourceLimits, ResourceTracker,
};
use serde_json::{Value as Json, json};

use super::protocol::{Exception, Failure, Finished, Job, Reply, Said};
use super::rewrite::{Rewritten, rewrite};
use super::{MAX_PRINTED, prelude, value};

/// Address space of the child, in bytes.
const MAX_MEMORY: u64 = 1 << 30;
/// Stack of the interpreter, in bytes; the parser recurses with the nesting of the source.
const STACK: usize = 64 << 20;
/// Nesting of calls in a script.
const MAX_DEPTH: usize = 900;

/// Runs one script whose [`Job`] stands on standard input; what `main` calls for the hidden subcommand.
pub fn child_main() -> ExitCode {
    let run = || serve(std::io::stdin().lock(), std::io::stdout().lock()).is_ok();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(run);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Gives up what the script does not need. Best effort: the interpreter itself reaches none of it.
fn confine(compute: Duration) {
    #[cfg(unix)]
    {
        use rlimit::Resource;
        let seconds = compute.as_secs() + 5;
        for (resource, limit) in [
            (Resource::AS, MAX_MEMORY),
            (Resource::CPU, seconds),
            (Resource::FSIZE, 0),
            (Resource::CORE, 0),
            (Resource::NOFILE, 0),
            (Resource::NPROC, 0),
        ] {
            _ = resource.set(limit, limit);
        }
    }
    #[cfg(not(unix))]
    let _ = compute;
}

/// The whole conversation with the parent.
fn serve(input: impl BufRead, output: impl Write) -> std::io::Result<()> {
    let mut line = Line { input, output };
    let job: Job = line.hear()?;
    confine(Duration::from_millis(job.compute_ms));
    let said = run(job, &mut line);
    line.say(&said)
}

/// The line to the parent.
struct Line<R, W> {
    input: R,
    output: W,
}

impl<R: BufRead, W: Write> Line<R, W> {
    fn hear<T: serde::de::DeserializeOwned>(&mut self) -> std::io::Result<T> {
        let mut text = String::new();
        self.input.read_line(&mut text)?;
        serde_json::from_str(&text).map_err(std::io::Error::other)
    }

    fn say(&mut self, said: &Said) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.output, said).map_err(std::io::Error::other)?;
        self.output.write_all(b"\n")?;
        self.output.flush()
    }
}

/// Answers calls that only the parent can.
trait Parent {
    fn ask(&mut self, name: &str, arguments: Vec<Json>) -> Result<Json, Exception>;
}

impl<R: BufRead, W: Write> Parent for Line<R, W> {
    fn ask(&mut self, name: &str, arguments: Vec<Json>) -> Result<Json, Exception> {
        let call = Said::Call { name: name.to_owned(), arguments };
        let gone = |error: std::io::Error| Exception::new("RuntimeError", error.to_string());
        self.say(&call).map_err(gone)?;
        match self.hear().map_err(gone)? {
            Reply::Value(value) => Ok(value),
            Reply::Raise(exception) => Err(exception),
        }
    }
}

/// Rewrites and runs the script.
fn run(job: Job, parent: &mut impl Parent) -> Said {
    let rewritten = match rewrite(&job.code) {
        Ok(rewritten) => rewritten,
        Err(error) => {
            let text = line_text(&job.code, error.line);
            let exception = Exception::new("SyntaxError", error.message);
            return Said::Failed(Failure { exception, line: Some(error.line), text, printed: String::new() });
        }
    };
    let limits =
        ResourceLimits::default().max_duration(Duration::from_millis(job.compute_ms)).max_recursion_depth(MAX_DEPTH);
    let mut machine = Machine { parent, printed: Printed::default() };
    let repl = MontyRepl::new("script.py", ResourceTracker::new(limits), CompileOptions::default());
    let inputs = job.inputs.into_iter().map(|(name, input)| (name, value::from_json(input))).collect();
    match machine.program(repl, &rewritten, inputs) {
        Ok(value) => {
            let Printed { text, n_cut } = machine.printed;
            Said::Done(Finished { printed: text, value, n_cut })
        }
        Err(exception) => Said::Failed(failure(&exception, &job.code, &rewritten, machine.printed.text)),
    }
}

/// The interpreter with what it needs from outside.
struct Machine<'a, P> {
    parent: &'a mut P,
    printed: Printed,
}

impl<P: Parent> Machine<'_, P> {
    /// Feeds the prelude, the script and the end; gives the script's value.
    fn program(
        &mut self,
        repl: MontyRepl,
        script: &Rewritten,
        inputs: Vec<(String, MontyObject)>,
    ) -> Result<Json, Box<MontyException>> {
        let (mut repl, _) = self.feed(repl, prelude::BASE, Vec::new()).map_err(|stop| Box::new(stop.error))?;
        for source in script.modules.iter().filter_map(|module| prelude::source(module)) {
            repl = self.feed(repl, source, Vec::new()).map_err(|stop| Box::new(stop.error))?.0;
        }
        let (repl, last) = match self.feed(repl, &script.code, inputs) {
            Ok(done) => done,
            Err(stop) if is_success(&stop.error) => (stop.repl, MontyObject::None),
            Err(stop) => return Err(Box::new(stop.error)),
        };
        let (repl, _) = self.feed(repl, "_flush_all()", Vec::new()).map_err(|stop| Box::new(stop.error))?;
        match last {
            // No script need have a `result`.
            MontyObject::None => {
                Ok(self.feed(repl, "result", Vec::new()).map_or(Json::Null, |(_, own)| value::to_json(own)))
            }
            last => Ok(value::to_json(last)),
        }
    }

    /// Runs a piece of code to its end, answering its calls.
    fn feed(
        &mut self,
        repl: MontyRepl,
        code: &str,
        inputs: Vec<(String, MontyObject)>,
    ) -> Result<(MontyRepl, MontyObject), Box<ReplStartError>> {
        let mut progress = repl.feed_start(code, inputs, PrintWriter::Callback(&mut self.printed))?;
        loop {
            progress = match progress {
                ReplProgress::Complete { repl, value } => return Ok((repl, value)),
                ReplProgress::NameLookup(lookup) => {
                    let found = match lookup.name.as_str() {
                        name @ ("_host" | "_native") => {
                            NameLookupResult::Value(MontyObject::Function { name: name.to_owned(), docstring: None })
                        }
                        _ => NameLookupResult::Undefined,
                    };
                    lookup.resume(found, PrintWriter::Callback(&mut self.printed))?
                }
                ReplProgress::FunctionCall(mut call) => {
                    let arguments = std::mem::take(&mut call.args).into_iter().map(value::to_json).collect();
                    let answer = match call.function_name.as_str() {
                        "_host" => result(self.host(arguments).map(value::from_json)),
                        "_native" => result(native(arguments).map(value::from_json)),
                        unknown => ExtFunctionResult::NotFound(unknown.to_owned()),
                    };
                    call.resume(answer, PrintWriter::Callback(&mut self.printed))?
                }
                ReplProgress::OsCall(call) => {
                    let answer = self.system(&call.function_call);
                    call.resume(result(answer), PrintWriter::Callback(&mut self.printed))?
                }
                ReplProgress::ResolveFutures(futures) => {
                    let error = MontyException::runtime_error("await works on coroutines of the script only");
                    return Err(Box::new(ReplStartError { repl: futures.into_repl(), error }));
                }
            };
        }
    }

    /// `_host(name, …)`.
    fn host(&mut self, mut arguments: Vec<Json>) -> Result<Json, Exception> {
        let name = if arguments.is_empty() { Json::Null } else { arguments.remove(0) };
        self.parent.ask(name.as_str().unwrap_or_default(), arguments)
    }

    /// What `pathlib` and `os` of the interpreter itself ask of the system.
    fn system(&mut self, call: &OsFunctionCall) -> Result<MontyObject, Exception> {
        use OsFunctionCall as Os;
        let parent = &mut *self.parent;
        let mut ask = |name: &str, arguments: Vec<Json>| parent.ask(name, arguments);
        Ok(match call {
            Os::Exists(path) => MontyObject::Bool(!ask("stat", vec![path.as_str().into()])?.is_null()),
            Os::IsFile(path) => MontyObject::Bool(ask("stat", vec![path.as_str().into()])?["folder"] == false),
            Os::IsDir(path) => MontyObject::Bool(ask("stat", vec![path.as_str().into()])?["folder"] == true),
            Os::IsSymlink(_) => MontyObject::Bool(false),
            Os::ReadText(path) => value::from_json(ask("read_file", vec![path.as_str().into()])?),
            Os::ReadBytes(path) => match ask("read_file", vec![path.as_str().into()])? {
                Json::String(text) => MontyObject::Bytes(text.into_bytes()),
                other => value::from_json(other),
            },
            Os::WriteText(to) => {
                written(&to.data, ask("write_file", vec![to.path.as_str().into(), to.data.as_str().into()])?)
            }
            Os::AppendText(to) => {
                let old = ask("open_file", vec![to.path.as_str().into(), "a".into()])?;
                let whole = format!("{}{}", old.as_str().unwrap_or_default(), to.data);
                written(&to.data, ask("write_file", vec![to.path.as_str().into(), whole.into()])?)
            }
            Os::WriteBytes(to) => {
                let text = String::from_utf8_lossy(&to.data).into_owned();
                written(&text, ask("write_file", vec![to.path.as_str().into(), text.as_str().into()])?)
            }
            Os::Iterdir(path) => {
                let base = path.as_str().trim_end_matches('/');
                let names = ask("list_folder", vec![base.into()])?;
                let names = names.as_array().into_iter().flatten().filter_map(|entry| entry["name"].as_str());
                let prefix = if base == "." { String::new() } else { format!("{base}/") };
                MontyObject::List(names.map(|name| MontyObject::Path(format!("{prefix}{name}"))).collect())
            }
            Os::Stat(path) => match ask("stat", vec![path.as_str().into()])? {
                Json::Null => return Err(missing(path)),
                found => stat_result(&found),
            },
            Os::Mkdir(folder) => {
                value::from_json(ask("make_folder", vec![folder.path.as_str().into(), folder.exist_ok.into()])?)
            }
            Os::Unlink(path) => value::from_json(ask("remove_file", vec![path.as_str().into()])?),
            Os::Rename(to) => value::from_json(ask("move_file", vec![to.src.as_str().into(), to.dst.as_str().into()])?),
            Os::Resolve(path) | Os::Absolute(path) => MontyObject::Path(path.as_str().to_owned()),
            Os::Getenv(of) => of.default.clone(),
            Os::GetEnviron => value::from_json(json!({})),
            Os::DateToday => today(&ask("now", Vec::new())?),
            Os::DateTimeNow(_) => now(&ask("now", Vec::new())?),
            other => return Err(Exception::new("PermissionError", format!("{other} is not available here"))),
        })
    }
}

fn missing(path: &str) -> Exception {
    Exception::new("FileNotFoundError", format!("[Errno 2] No such file or directory: '{path}'"))
}

#[allow(clippy::cast_possible_wrap)] // no text has that many characters
fn written(text: &str, _: Json) -> MontyObject {
    MontyObject::Int(text.chars().count() as i64)
}

#[allow(clippy::cast_precision_loss)]
fn stat_result(found: &Json) -> MontyObject {
    let seconds = found["modified_ms"].as_i64().unwrap_or_default() as f64 / 1000.0;
    let size = found["bytes"].as_i64().unwrap_or_default();
    if found["folder"] == true {
        monty_types::dir_stat(0o755, seconds)
    } else {
        monty_types::file_stat(0o644, size, seconds)
    }
}

/// The parts of `[year, month, day, hour, minute, second]`.
fn part(now: &Json, idx: usize) -> i64 {
    now[idx].as_i64().unwrap_or_default()
}

fn today(now: &Json) -> MontyObject {
    let small = |idx| u8::try_from(part(now, idx)).unwrap_or(1);
    MontyObject::Date(MontyDate { year: i32::try_from(part(now, 0)).unwrap_or(1970), month: small(1), day: small(2) })
}

fn now(now: &Json) -> MontyObject {
    let small = |idx| u8::try_from(part(now, idx)).unwrap_or_default();
    MontyObject::DateTime(MontyDateTime {
        year: i32::try_from(part(now, 0)).unwrap_or(1970),
        month: small(1),
        day: small(2),
        hour: small(3),
        minute: small(4),
        second: small(5),
        microsecond: 0,
        offset_seconds: None,
        timezone_name: None,
    })
}

fn result(answer: Result<MontyObject, Exception>) -> ExtFunctionResult {
    match answer {
        Ok(value) => ExtFunctionResult::Return(value),
        Err(exception) => {
            let kind = exception.kind.parse().unwrap_or(ExcType::RuntimeError);
            ExtFunctionResult::Error(MontyException::new(kind, Some(exception.message)))
        }
    }
}

/// `_native(name, …)`: what is too slow in Python and needs no parent.
fn native(arguments: Vec<Json>) -> Result<Json, Exception> {
    match arguments.as_slice() {
        [Json::String(name), Json::String(text), delimiter, quote, skips_blanks] if name == "split_csv" => {
            split_csv(text, delimiter, quote, skips_blanks == true)
        }
        _ => Err(Exception::new("RuntimeError", "no such native function")),
    }
}

fn split_csv(text: &str, delimiter: &Json, quote: &Json, skips_blanks: bool) -> Result<Json, Exception> {
    let byte = |of: &Json| of.as_str().and_then(|of| of.bytes().next().filter(|_| of.len() == 1));
    let delimiter =
        byte(delimiter).ok_or_else(|| Exception::new("TypeError", "\"delimiter\" must be a 1-character string"))?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .quoting(byte(quote).is_some())
        .quote(byte(quote).unwrap_or(b'"'))
        .from_reader(text.as_bytes());
    let cell = |cell: &str| Json::from(if skips_blanks { cell.trim_start_matches(' ') } else { cell });
    let rows = reader.records().map(|record| record.map(|record| record.iter().map(cell).collect::<Json>()));
    rows.collect::<Result<_, _>>().map_err(|error| Exception::new("ValueError", error.to_string()))
}

/// Keeps what is printed, up to a limit.
#[derive(Default)]
struct Printed {
    text: String,
    n_cut: usize,
}

impl PrintWriterCallback for Printed {
    fn stdout_write(&mut self, output: Cow<'_, str>) -> Result<(), MontyException> {
        let room = MAX_PRINTED.saturating_sub(self.text.len());
        let end = output.floor_char_boundary(room.min(output.len()));
        self.text.push_str(&output[..end]);
        self.n_cut += output[end..].chars().count();
        Ok(())
    }

    fn stdout_push(&mut self, end: char) -> Result<(), MontyException> {
        self.stdout_write(Cow::Borrowed(end.encode_utf8(&mut [0; 4])))
    }
}

/// What the interpreter calls the piece that is the script; it numbers them, and the prelude comes first.
fn script_name(script: &Rewritten) -> String {
    let n_before = 1 + script.modules.iter().filter(|module| prelude::source(module).is_some()).count();
    format!("<python-input-{n_before}>")
}

/// `sys.exit()` without a message is an end like any other.
fn is_success(exception: &MontyException) -> bool {
    exception.exc_type() == ExcType::SystemExit && matches!(exception.message(), None | Some("" | "0"))
}

/// Where and why the script stopped, in its own lines.
fn failure(exception: &MontyException, source: &str, script: &Rewritten, printed: String) -> Failure {
    // Frames of the prelude are of no use to who wrote the script.
    let own = exception.traceback().iter().rev().find(|frame| frame.filename == script_name(script));
    let line = own.and_then(|frame| script.lines.get(frame.start.line as usize - 1).copied());
    let exception = Exception::new(exception.exc_type().into(), exception.message().unwrap_or_default().to_owned());
    Failure { exception, line, text: line.map_or_else(String::new, |line| line_text(source, line)), printed }
}

fn line_text(source: &str, line: usize) -> String {
    source.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim().to_owned()
}
