//! What the rules need to know about a source file, read from its tokens.
//!
//! Tokens, not text: a word in a string or a comment is neither an import nor an `unsafe`, and a path
//! inside a macro call is found although no parser would look there.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Group, Spacing, Span, TokenStream, TokenTree};

/// A source file and its facts.
pub struct Source {
    /// From the crate's root, with `/` between names.
    pub path: String,
    /// As it is.
    pub text: String,
    /// `(line, module)` for every path that starts at the crate's root, however it is written.
    pub imports: Vec<(usize, String)>,
    /// Every function with a name.
    pub functions: Vec<Function>,
    /// Lines with the keyword `unsafe`.
    pub unsafe_lines: Vec<usize>,
    /// Lines with the keywords `async` and `await`.
    pub async_lines: Vec<usize>,
    /// Lines with a token that is neither a comment nor part of a `#[cfg(test)]` module.
    pub n_code_lines: usize,
}

/// A function, its signature included.
pub struct Function {
    /// Its name.
    pub name: String,
    /// Where `fn` stands.
    pub line: usize,
    /// Lines with a token that is not a comment.
    pub n_lines: usize,
    /// Without `self`.
    pub n_parameters: usize,
    /// Part of a test.
    pub is_test: bool,
}

/// Where a token stands.
#[derive(Clone, Copy)]
struct Place {
    /// How many modules deep; 0 is the crate's root.
    depth: usize,
    is_test: bool,
}

impl Source {
    /// Reads the facts of a file. Panics on a file that does not lex: the compiler would not take it either.
    pub fn parse(path: &str, text: &str) -> Self {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut source = Self {
            path: path.into(),
            text: text.into(),
            imports: Vec::new(),
            functions: Vec::new(),
            unsafe_lines: Vec::new(),
            async_lines: Vec::new(),
            n_code_lines: 0,
        };
        let mut lines = BTreeSet::new();
        let place = Place { depth: source.depth(), is_test: source.is_test() };
        source.scan(&tokens.into_iter().collect::<Vec<_>>(), place, &mut lines);
        source.n_code_lines = lines.len();
        source
    }

    /// The module of the table that the file belongs to; `None` for the crate's roots, tests and benches.
    pub fn module(&self) -> Option<&str> {
        let path = self.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        let module = path.split('/').next()?;
        (!matches!(module, "lib" | "main")).then_some(module)
    }

    /// Whether the whole file is a test.
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    fn depth(&self) -> usize {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        if matches!(path, "lib" | "main") { 0 } else { path.split('/').count() }
    }

    /// Collects the facts of `trees` and the lines that they cover.
    fn scan(&mut self, trees: &[TokenTree], place: Place, lines: &mut BTreeSet<usize>) {
        let mut next_is_test = false;
        let mut i = 0;
        while let Some(tree) = trees.get(i) {
            i += 1;
            match tree {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    i += usize::from(is_punct(trees.get(i), '!'));
                    if let Some(TokenTree::Group(attribute)) = trees.get(i) {
                        i += 1;
                        let text = attribute.stream().to_string().replace(' ', "");
                        next_is_test |= text == "cfg(test)";
                        if !text.starts_with("doc=") {
                            cover(lines, attribute.span());
                        }
                    }
                }
                TokenTree::Group(group) => self.scan_group(group, place, lines),
                TokenTree::Ident(word) if word == "mod" => {
                    if let (Some(TokenTree::Ident(_)), Some(TokenTree::Group(body))) = (trees.get(i), trees.get(i + 1))
                    {
                        i += 2;
                        let is_test = place.is_test || next_is_test;
                        let mut unseen = BTreeSet::new();
                        let place = Place { depth: place.depth + 1, is_test };
                        self.scan_group(body, place, if is_test { &mut unseen } else { lines });
                    }
                    next_is_test = false;
                }
                other => {
                    cover(lines, other.span());
                    self.note_word(other, &trees[i..], place);
                }
            }
        }
    }

    fn scan_group(&mut self, group: &Group, place: Place, lines: &mut BTreeSet<usize>) {
        cover(lines, group.span_open());
        self.scan(&group.stream().into_iter().collect::<Vec<_>>(), place, lines);
        cover(lines, group.span_close());
    }

    fn note_word(&mut self, tree: &TokenTree, rest: &[TokenTree], place: Place) {
        let TokenTree::Ident(word) = tree else { return };
        let line = word.span().start().line;
        match word.to_string().as_str() {
            "unsafe" => self.unsafe_lines.push(line),
            "async" | "await" => self.async_lines.push(line),
            "crate" => self.note_import(line, rest),
            // The chain is read from its first `super`; the later ones lead too few modules up to count.
            "super" => {
                let n_more =
                    rest.chunks(3).take_while(|chunk| is_colons(chunk) && is_word(chunk.get(2), "super")).count();
                if n_more + 1 == place.depth {
                    self.note_import(line, &rest[3 * n_more..]);
                }
            }
            "fn" => self.functions.extend(function(line, rest, place.is_test)),
            _ => {}
        }
    }

    /// `rest` follows the crate's root: `:: name`, or `:: {name, …}`.
    fn note_import(&mut self, line: usize, rest: &[TokenTree]) {
        if !is_colons(rest) {
            return;
        }
        match rest.get(2) {
            Some(name @ (TokenTree::Ident(_) | TokenTree::Punct(_))) => self.imports.push((line, name.to_string())),
            Some(TokenTree::Group(group)) => {
                let first = |part: Vec<TokenTree>| part.first().map(ToString::to_string);
                let names = split_at_commas(group).into_iter().filter_map(first).filter(|name| name != "self");
                self.imports.extend(names.map(|name| (line, name)));
            }
            _ => {}
        }
    }
}

fn is_punct(tree: Option<&TokenTree>, wanted: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_word(tree: Option<&TokenTree>, wanted: &str) -> bool {
    matches!(tree, Some(TokenTree::Ident(word)) if word == wanted)
}

fn is_colons(trees: &[TokenTree]) -> bool {
    is_punct(trees.first(), ':') && is_punct(trees.get(1), ':')
}

fn cover(lines: &mut BTreeSet<usize>, span: Span) {
    lines.extend(span.start().line..=span.end().line);
}

/// The function whose `fn` stands before `rest`; `None` for a function pointer's type.
fn function(line: usize, rest: &[TokenTree], is_test: bool) -> Option<Function> {
    let TokenTree::Ident(name) = rest.first()? else { return None };
    let mut angles = Angles::default();
    let parameters = rest.iter().find_map(|tree| {
        angles.pass(tree);
        match tree {
            TokenTree::Group(group) if angles.depth == 0 && group.delimiter() == Delimiter::Parenthesis => Some(group),
            _ => None,
        }
    })?;
    let is_end = |tree: &TokenTree| {
        is_punct(Some(tree), ';') || matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
    };
    let end = rest.iter().position(is_end)?;
    let mut lines = BTreeSet::from([line]);
    cover_code(&rest[..=end], &mut lines);
    let is_receiver = |part: &Vec<TokenTree>| {
        part.iter().take_while(|tree| !is_punct(Some(tree), ':')).any(|tree| is_word(Some(tree), "self"))
    };
    let n_parameters = split_at_commas(parameters).iter().filter(|part| !is_receiver(part)).count();
    Some(Function { name: name.to_string(), line, n_lines: lines.len(), n_parameters, is_test })
}

/// Lines of all tokens but doc comments, which the lexer turns into attributes.
fn cover_code(trees: &[TokenTree], lines: &mut BTreeSet<usize>) {
    let mut i = 0;
    while let Some(tree) = trees.get(i) {
        i += 1;
        match (tree, trees.get(i)) {
            (TokenTree::Punct(punct), Some(TokenTree::Group(attribute)))
                if punct.as_char() == '#' && attribute.stream().to_string().starts_with("doc =") =>
            {
                i += 1;
            }
            (TokenTree::Group(group), _) => {
                cover(lines, group.span_open());
                cover_code(&group.stream().into_iter().collect::<Vec<_>>(), lines);
                cover(lines, group.span_close());
            }
            (other, _) => cover(lines, other.span()),
        }
    }
}

/// The parts of a group between commas that are not inside `<…>`; an empty last part is left out.
fn split_at_commas(group: &Group) -> Vec<Vec<TokenTree>> {
    let mut parts = vec![Vec::new()];
    let mut angles = Angles::default();
    for tree in group.stream() {
        angles.pass(&tree);
        if angles.depth == 0 && is_punct(Some(&tree), ',') {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(tree);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// How many `<` are open. The `>` of `->` and `=>` closes none.
#[derive(Default)]
struct Angles {
    depth: usize,
    after_dash: bool,
}

impl Angles {
    fn pass(&mut self, tree: &TokenTree) {
        let TokenTree::Punct(punct) = tree else {
            self.after_dash = false;
            return;
        };
        match punct.as_char() {
            '<' => self.depth += 1,
            '>' if !self.after_dash => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.after_dash = matches!(punct.as_char(), '-' | '=') && punct.spacing() == Spacing::Joint;
    }
}
