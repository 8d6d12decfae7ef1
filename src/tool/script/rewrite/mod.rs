//! Turns Python as models write it into the subset that the interpreter runs, in place.
//!
//! The interpreter (monty 0.0.23) has no generators, `del`, `%` formatting, slice assignment, exception
//! classes, method values or operators of classes, and few modules. Each of them is replaced where it
//! stands by what does the same with functions of the prelude; the text is otherwise untouched, and a map
//! gives the original line of every line, so errors point at what the model wrote.
//!
//! Must not know: files, hosts, how the result runs.

mod edit;
mod expression;
mod import;
mod statement;

use std::collections::BTreeSet;

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_interpolated_string_element, walk_stmt};
use ruff_python_ast::{Expr, InterpolatedStringElement, Operator, Stmt};
use ruff_text_size::{Ranged, TextSize};

use edit::Edits;
use import::Names;

/// Python for the interpreter.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rewritten {
    pub code: String,
    /// For every line of `code`, 0-based, the 1-based line of the source.
    pub lines: Vec<usize>,
    /// Modules that are imported, without their submodules.
    pub modules: BTreeSet<String>,
}

/// The source is not Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// 1-based.
    pub line: usize,
    pub message: String,
}

/// Rewrites a whole program.
pub(super) fn rewrite(source: &str) -> Result<Rewritten, SyntaxError> {
    let parsed = ruff_python_parser::parse_module(source).map_err(|error| SyntaxError {
        line: line_of(source, error.location.start()),
        message: error.error.to_string(),
    })?;
    let body = &parsed.syntax().body;
    let names = Names::of(body);
    let modules = names.modules.clone();
    let mut rewriter = Rewriter {
        // The interpreter does not call the operators of a class, so those of Decimal become functions.
        has_decimals: modules.contains("decimal"),
        names,
        edits: Edits::new(source),
        in_generator: false,
    };
    rewriter.visit_body(body);
    let (code, lines) = rewriter.edits.apply();
    Ok(Rewritten { code, lines, modules })
}

fn line_of(source: &str, at: TextSize) -> usize {
    1 + source[..at.to_usize().min(source.len())].matches('\n').count()
}

struct Rewriter<'a> {
    names: Names,
    edits: Edits<'a>,
    has_decimals: bool,
    in_generator: bool,
}

impl<'a> Visitor<'a> for Rewriter<'_> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Import(import) => self.import(import),
            Stmt::ImportFrom(import) => self.import_from(import),
            Stmt::Delete(delete) => self.delete(delete),
            Stmt::Assign(assign) if self.assign_slice(assign) || self.assign_parts(assign) => {}
            Stmt::AugAssign(assign) if self.augmented(assign) => {}
            Stmt::ClassDef(class) if self.class(class) => {}
            Stmt::FunctionDef(function) => {
                function.decorator_list.iter().for_each(|decorator| self.visit_decorator(decorator));
                self.visit_parameters(&function.parameters);
                self.function(function);
            }
            Stmt::Return(_) if self.in_generator => self.edits.replace(stmt.range(), "return iter(_y)"),
            _ => walk_stmt(self, stmt),
        }
    }

    /// `int | None` in a hint is no computation.
    fn visit_annotation(&mut self, _: &'a Expr) {}

    fn visit_interpolated_string_element(&mut self, element: &'a InterpolatedStringElement) {
        if let InterpolatedStringElement::Interpolation(part) = element {
            if part.debug_text.is_some() {
                return;
            }
            if self.has_decimals && part.format_spec.is_some() {
                self.edits.open(part.expression.start(), "_op_shown(");
                walk_interpolated_string_element(self, element);
                return self.edits.close(part.expression.end(), ")");
            }
        }
        walk_interpolated_string_element(self, element);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::BinOp(operation) => self.operation(operation),
            Expr::UnaryOp(operation) if self.negation(operation) => {}
            Expr::Compare(comparison) if self.comparison(comparison) => {}
            Expr::Call(call) => self.call(call),
            Expr::Attribute(attribute) => self.attribute(attribute, false),
            Expr::Generator(generator) if generator.parenthesized => self.wrap("iter(", expr, ")"),
            Expr::Yield(value) => self.yielded(expr.range(), value.value.as_deref(), "append"),
            Expr::YieldFrom(value) => self.yielded(expr.range(), Some(&value.value), "extend"),
            _ => walk_expr(self, expr),
        }
    }
}

impl Rewriter<'_> {
    /// Puts `open` and `close` around an expression whose parts are rewritten.
    fn wrap(&mut self, open: &str, expr: &Expr, close: &str) {
        self.edits.open(expr.start(), open);
        walk_expr(self, expr);
        self.edits.close(expr.end(), close);
    }
}

/// The function of the prelude for an operator over decimals.
fn decimal_operator(operator: Operator) -> Option<&'static str> {
    Some(match operator {
        Operator::Add => "_op_add",
        Operator::Sub => "_op_sub",
        Operator::Mult => "_op_mul",
        Operator::Div => "_op_div",
        Operator::FloorDiv => "_op_floordiv",
        Operator::Mod => "_op_mod",
        Operator::Pow => "_op_pow",
        _ => return None,
    })
}
