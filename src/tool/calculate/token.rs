//! An expression → tokens, each with its column.

use rust_decimal::Decimal;

use super::Mistake;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Number(Decimal),
    /// A function or unit.
    Name(String),
    /// A quoted text, or a date or time without quotes.
    Text(String),
    /// An operator or bracket, in its plain spelling.
    Symbol(&'static str),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub kind: Kind,
    /// Counted in characters from 1.
    pub column: usize,
    /// Whether blanks stand before it.
    pub is_spaced: bool,
}

/// Spellings of operators and brackets; longer ones first.
const SYMBOLS: [(&str, &str); 30] = [
    ("**", "^"),
    ("//", "//"),
    ("<=", "<="),
    (">=", ">="),
    ("==", "="),
    ("!=", "!="),
    ("<>", "!="),
    ("≤", "<="),
    ("≥", ">="),
    ("≠", "!="),
    ("<", "<"),
    (">", ">"),
    ("=", "="),
    ("+", "+"),
    ("-", "-"),
    ("−", "-"),
    ("–", "-"),
    ("*", "*"),
    ("×", "*"),
    ("·", "*"),
    ("/", "/"),
    ("÷", "/"),
    (":", ":"),
    ("%", "%"),
    ("^", "^"),
    ("(", "("),
    (")", ")"),
    ("[", "["),
    ("]", "]"),
    (",", ","),
];

/// The tokens of `expression`, the last one [`Kind::End`].
pub fn split(expression: &str) -> Result<Vec<Token>, Mistake> {
    let mut tokens = Vec::new();
    let mut rest = expression;
    let mut column = 1;
    loop {
        let trimmed = rest.trim_start();
        let is_spaced = trimmed.len() < rest.len();
        column += rest[..rest.len() - trimmed.len()].chars().count();
        let (kind, len) = next(trimmed).map_err(|problem| Mistake { column, problem })?;
        let is_end = kind == Kind::End;
        tokens.push(Token { kind, column, is_spaced });
        if is_end {
            return Ok(tokens);
        }
        column += trimmed[..len].chars().count();
        rest = &trimmed[len..];
    }
}

/// The first token of `rest` and its length in bytes.
fn next(rest: &str) -> Result<(Kind, usize), String> {
    let Some(first) = rest.chars().next() else { return Ok((Kind::End, 0)) };
    let after = rest[first.len_utf8()..].chars().next();
    if first.is_ascii_digit() || (first == '.' && after.is_some_and(|c| c.is_ascii_digit())) {
        return moment(rest).map_or_else(|| number(rest), Ok);
    }
    if first == '"' || first == '\'' {
        let end = rest[1..].find(first).ok_or_else(|| format!("the text has no closing {first}"))?;
        return Ok((Kind::Text(rest[1..=end].to_owned()), end + 2));
    }
    if first.is_alphabetic() {
        let len = length(rest, |c| c.is_alphanumeric() || c == '_');
        return Ok((Kind::Name(rest[..len].to_lowercase()), len));
    }
    if let Some((spelling, symbol)) = SYMBOLS.iter().find(|(spelling, _)| rest.starts_with(spelling)) {
        return Ok((Kind::Symbol(symbol), spelling.len()));
    }
    if "$€£¥".contains(first) {
        return Err(format!("{first} is no part of a number; leave currency signs out"));
    }
    Err(format!("{first:?} is not part of an expression"))
}

fn length(text: &str, accept: impl Fn(char) -> bool) -> usize {
    text.find(|c| !accept(c)).unwrap_or(text.len())
}

/// A date, perhaps with a time, or a time, written without quotes: 2025-03-01 is no subtraction.
fn moment(rest: &str) -> Option<(Kind, usize)> {
    let len = length(rest, |c| c.is_ascii_digit() || "-:T.".contains(c));
    let text = rest[..len].trim_end_matches(['-', ':', 'T', '.']);
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let is_date = shape == "0000-00-00" || shape.starts_with("0000-00-00T");
    let is_time = matches!(shape.as_str(), "0:00" | "00:00" | "0:00:00" | "00:00:00");
    (is_date || is_time).then(|| (Kind::Text(text.to_owned()), text.len()))
}

fn number(rest: &str) -> Result<(Kind, usize), String> {
    let mut len = length(rest, |c| c.is_ascii_digit());
    refuse_separator(&rest[..len], &rest[len..])?;
    if let Some(fraction) = rest[len..].strip_prefix('.') {
        len += 1 + length(fraction, |c| c.is_ascii_digit());
    }
    if rest[len..].starts_with('.') {
        return Err(format!("{}… has two points; numbers have no thousands separators", &rest[..=len]));
    }
    let mantissa = &rest[..len];
    let exponent_len = exponent(&rest[len..]);
    let text = &rest[..len + exponent_len];
    let parsed = if exponent_len > 0 { Decimal::from_scientific(text) } else { Decimal::from_str_exact(mantissa) };
    let parsed = parsed.map_err(|_| format!("the number {text} has more than 28 digits"))?;
    Ok((Kind::Number(parsed), text.len()))
}

/// Bytes of an exponent such as `e-3` at the start of `rest`.
fn exponent(rest: &str) -> usize {
    let Some(power) = rest.strip_prefix(['e', 'E']) else { return 0 };
    let unsigned = power.strip_prefix(['+', '-']).unwrap_or(power);
    match length(unsigned, |c| c.is_ascii_digit()) {
        0 => 0,
        n_digits => rest.len() - unsigned.len() + n_digits,
    }
}

/// `1,234`, `1_234` and `1'234` are refused: between arguments the comma would silently mean two numbers.
fn refuse_separator(digits: &str, rest: &str) -> Result<(), String> {
    let mut chars = rest.chars();
    let Some(separator) = chars.next().filter(|c| ",_'’".contains(*c)) else { return Ok(()) };
    let group = chars.as_str();
    if digits.len() > 3 || length(group, |c| c.is_ascii_digit()) != 3 {
        return Ok(());
    }
    let group = &group[..3];
    let separated = format!("; to separate two arguments write {digits}, {group}");
    Err(format!(
        "{digits}{separator}{group} has a thousands separator; write {digits}{group}{}",
        if separator == ',' { &separated } else { "" }
    ))
}
