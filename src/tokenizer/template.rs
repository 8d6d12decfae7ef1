//! Chat templates: a conversation written the way a model was trained to read it.
//!
//! The template is a Jinja program inside the model file, so it is untrusted: it runs with a budget of instructions
//! and memory and reaches nothing but the conversation and the clock. It is given what `transformers` gives it, so
//! that the text comes out as it was in training.
//! Invariant of [`ChatTemplate::render_tokens`]: only text of the template becomes a control token, never what a
//! message, a tool or an argument says.
//! Must not know: engines, plans.
//! Source: `apply_chat_template` of `transformers`, whose Jinja settings are the standard for model files.

use std::sync::LazyLock;

use jiff::Zoned;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, ErrorKind, syntax::SyntaxConfig};
use regex::{Captures, Regex};
use serde_json::{Map, json};

use super::guard::Guard;
use super::{Error, Special, Tokenizer, python};
use crate::gguf::Metadata;
use crate::types::{Message, Role, Token};

/// Instructions, and 64-byte units of memory, that one rendering may use: far above any honest conversation.
const FUEL: u64 = 5_000_000;
const RECURSION_LIMIT: usize = 256;
const DEFAULT: &str = "default";
const TOOL_USE: &str = "tool_use";

/// For a model without template whose vocabulary has these markers.
const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n\
    {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// The template of one model.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// Values that the template sees beside the conversation.
    variables: Map<String, serde_json::Value>,
    has_tool_use: bool,
    takes_tools: bool,
}

impl ChatTemplate {
    /// The template that a model file carries; for a file without one, ChatML if its vocabulary has ChatML's markers.
    ///
    /// # Errors
    /// [`Error::NoTemplate`]; [`Error::Template`] for one that is not valid Jinja.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self, Error> {
        let tokens = metadata.find_strs("tokenizer.ggml.tokens")?.unwrap_or_default();
        let source = match metadata.find_str("tokenizer.chat_template")? {
            Some(source) => source,
            None if ["<|im_start|>", "<|im_end|>"].iter().all(|marker| tokens.contains(marker)) => CHATML,
            None => return Err(Error::NoTemplate),
        };
        let mut template = Self::new(source)?;
        if let Some(source) = metadata.find_str("tokenizer.chat_template.tool_use")? {
            template.add(TOOL_USE, source)?;
            (template.has_tool_use, template.takes_tools) = (true, true);
        }
        for (variable, role) in [("bos_token", "bos"), ("eos_token", "eos")] {
            let id = metadata.find_u32(&format!("tokenizer.ggml.{role}_token_id"))?;
            let text = id.and_then(|id| tokens.get(id as usize)).copied().unwrap_or_default();
            template = template.with_variable(variable, text);
        }
        Ok(template)
    }

    /// A template from its source, with empty `bos_token` and `eos_token`.
    ///
    /// # Errors
    /// [`Error::Template`] for one that is not valid Jinja.
    pub fn new(source: &str) -> Result<Self, Error> {
        let takes_tools = source.contains("tools");
        let mut template =
            Self { environment: environment()?, variables: Map::new(), has_tool_use: false, takes_tools };
        template.add(DEFAULT, source)?;
        Ok(template.with_variable("bos_token", "").with_variable("eos_token", ""))
    }

    /// Sets a variable that the template may look at, such as `enable_thinking`.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Stops the clock that `strftime_now` reads.
    #[must_use]
    pub fn with_time(mut self, now: Zoned) -> Self {
        self.environment.add_function("strftime_now", move |format: String| strftime(&format, &now));
        self
    }

    /// Whether the template writes tools into the prompt. If not, [`Self::render`] leaves them out.
    pub fn takes_tools(&self) -> bool {
        self.takes_tools
    }

    /// The conversation as text.
    ///
    /// `tools` are objects `{"type": "function", "function": {name, description, parameters}}`.
    ///
    /// # Errors
    /// [`Error::Template`]: what the template itself raises (many refuse some orders of roles), and a template that
    /// does not come to an end.
    pub fn render(
        &self,
        messages: &[Message],
        tools: &[serde_json::Value],
        add_generation_prompt: bool,
    ) -> Result<String, Error> {
        let name = if self.has_tool_use && !tools.is_empty() { TOOL_USE } else { DEFAULT };
        let mut context = self.variables.clone();
        context.insert("messages".into(), written(messages));
        context.insert("tools".into(), if tools.is_empty() { json!(null) } else { json!(tools) });
        context.insert("documents".into(), json!(null));
        context.insert("add_generation_prompt".into(), json!(add_generation_prompt));
        let template = self.environment.get_template(name).map_err(Error::template)?;
        template.render(Value::from(Serde(&context))).map_err(Error::template)
    }

    /// The conversation as tokens: control tokens only where the template wrote them, BOS first where the model
    /// expects it. Where nothing in the conversation spells a control token, these are the tokens of the whole
    /// rendered text.
    ///
    /// # Errors
    /// Those of [`Self::render`].
    pub fn render_tokens(
        &self,
        tokenizer: &Tokenizer,
        messages: &[Message],
        tools: &[serde_json::Value],
        add_generation_prompt: bool,
    ) -> Result<Vec<Token>, Error> {
        let guard = Guard::new(tokenizer, messages, tools);
        let messages: Vec<Message> = messages.iter().map(|message| guard.mark_message(message)).collect();
        let tools: Vec<serde_json::Value> = tools.iter().map(|tool| guard.mark_json(tool)).collect();
        let text = self.render(&messages, &tools, add_generation_prompt)?;
        let mut tokens = tokenizer.encode_marked(&text, Special::Parse, Some(guard.marker()), true);
        if let Some(bos) = tokenizer.bos().filter(|bos| tokenizer.add_bos() && tokens.first() != Some(bos)) {
            tokens.insert(0, bos);
        }
        Ok(tokens)
    }

    fn add(&mut self, name: &'static str, source: &str) -> Result<(), Error> {
        self.environment.add_template_owned(name, without_generation_tags(source)).map_err(Error::template)
    }
}

/// What a template runs in.
fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(Error::template)?);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_LIMIT);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", python::to_json);
    environment.add_test("sequence", python::is_sequence);
    environment.add_test("iterable", python::is_iterable);
    environment.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: String| strftime(&format, &Zoned::now()));
    Ok(environment)
}

fn strftime(format: &str, now: &Zoned) -> Result<String, minijinja::Error> {
    jiff::fmt::strtime::format(format, now)
        .map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// `{% generation %}` marks what the model wrote, for training; here it is a block that does nothing.
fn without_generation_tags(source: &str) -> String {
    static TAG: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").expect("the pattern is valid"));
    let replace = |tag: &Captures<'_>| {
        let block = if tag.get(2).is_some() { "endif" } else { "if true" };
        format!("{{%{} {block} {}%}}", &tag[1], &tag[3])
    };
    TAG.replace_all(source, replace).into_owned()
}

/// The messages as templates expect them. Calls are numbered through the conversation, and results follow their calls
/// in order, because some templates want the ids.
fn written(messages: &[Message]) -> serde_json::Value {
    let mut n_calls = 0;
    let mut open = std::collections::VecDeque::new();
    let one = |message: &Message| {
        let mut written = Map::new();
        written.insert("role".into(), json!(message.role));
        written.insert("content".into(), json!(message.content));
        if !message.tool_calls.is_empty() {
            open.clear();
        }
        let calls = message.tool_calls.iter().map(|call| {
            let id = format!("call{n_calls:05}");
            n_calls += 1;
            open.push_back((id.clone(), call.name.clone()));
            json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
        });
        let calls: Vec<_> = calls.collect();
        if !calls.is_empty() {
            written.insert("tool_calls".into(), calls.into());
        }
        if let Some((id, name)) = (message.role == Role::Tool).then(|| open.pop_front()).flatten() {
            written.insert("tool_call_id".into(), id.into());
            written.insert("name".into(), name.into());
        }
        serde_json::Value::from(written)
    };
    messages.iter().map(one).collect()
}
