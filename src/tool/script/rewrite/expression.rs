//! Expressions that the interpreter lacks: some operators, method values, methods, callbacks that ask.

use ruff_python_ast::visitor::Visitor as _;
use ruff_python_ast::{self as ast, CmpOp, Expr, ExprContext, Operator, UnaryOp};
use ruff_text_size::{Ranged as _, TextRange, TextSize};

use super::{Rewriter, decimal_operator};
use crate::tool::script::prelude;

/// Methods of builtin types that models pass as values: `key=counts.get`, `map(str.strip, lines)`.
const METHOD_VALUES: [&str; 22] = [
    "get",
    "append",
    "add",
    "extend",
    "update",
    "lower",
    "upper",
    "strip",
    "lstrip",
    "rstrip",
    "split",
    "join",
    "casefold",
    "startswith",
    "endswith",
    "isdigit",
    "isalpha",
    "isalnum",
    "isupper",
    "islower",
    "capitalize",
    "swapcase",
];

/// Builtins that the prelude has in a version that can do more.
const BUILTINS: [&str; 4] = ["map", "filter", "sorted", "sum"];
/// The same, where they take one iterable or a key.
const BEST_OF: [&str; 2] = ["min", "max"];
/// Builtins that the prelude has in a version that knows decimals.
const OVER_DECIMALS: [&str; 8] = ["sum", "sorted", "min", "max", "abs", "round", "int", "float"];

/// Whether the value is certainly a boolean, which the interpreter does not compute with.
pub(super) fn is_condition(expr: &Expr) -> bool {
    match expr {
        Expr::Compare(_) | Expr::BooleanLiteral(_) => true,
        Expr::UnaryOp(operation) => operation.op == UnaryOp::Not,
        _ => false,
    }
}

impl Rewriter<'_> {
    pub(super) fn operation(&mut self, operation: &ast::ExprBinOp) {
        let name = match operation.op {
            Operator::BitOr => Some("_or"),
            operator if self.has_decimals => decimal_operator(operator),
            Operator::Mod if may_format(operation) => Some("_mod"),
            _ => None,
        };
        let sign = self.edits.find(operation.left.end(), operation.right.start(), operation.op.as_str());
        let (Some(name), Some(sign)) = (name, sign) else {
            self.operand(operation.op, &operation.left);
            return self.operand(operation.op, &operation.right);
        };
        self.edits.open(operation.start(), format!("{name}("));
        self.operand(operation.op, &operation.left);
        self.edits.replace(sign, ",");
        self.operand(operation.op, &operation.right);
        self.edits.close(operation.end(), ")");
    }

    /// `1 - (a < b)` becomes `1 - (int(a < b))`.
    fn operand(&mut self, operator: Operator, operand: &Expr) {
        let computes =
            matches!(operator, Operator::Add | Operator::Sub | Operator::Mult | Operator::Div | Operator::FloorDiv);
        if computes && is_condition(operand) {
            self.edits.open(operand.start(), "int(");
            self.visit_expr(operand);
            self.edits.close(operand.end(), ")");
        } else {
            self.visit_expr(operand);
        }
    }

    pub(super) fn negation(&mut self, operation: &ast::ExprUnaryOp) -> bool {
        if !self.has_decimals || operation.op != UnaryOp::USub || operation.operand.is_number_literal_expr() {
            return false;
        }
        let sign = TextRange::at(operation.start(), TextSize::of('-'));
        self.edits.replace(sign, "_op_neg(");
        self.visit_expr(&operation.operand);
        self.edits.close(operation.end(), ")");
        true
    }

    /// `a < b` becomes `_op_lt(a, b)` where there are decimals.
    pub(super) fn comparison(&mut self, comparison: &ast::ExprCompare) -> bool {
        let ([operator], [right]) = (&*comparison.ops, &*comparison.comparators) else { return false };
        let name = match operator {
            CmpOp::Lt => "_op_lt(",
            CmpOp::LtE => "_op_le(",
            CmpOp::Gt => "_op_gt(",
            CmpOp::GtE => "_op_ge(",
            CmpOp::Eq => "_op_eq(",
            CmpOp::NotEq => "_op_ne(",
            _ => return false,
        };
        let sign = self.edits.find(comparison.left.end(), right.start(), operator.as_str());
        let (Some(sign), true) = (sign, self.has_decimals) else { return false };
        self.edits.open(comparison.start(), name);
        self.visit_expr(&comparison.left);
        self.edits.replace(sign, ",");
        self.visit_expr(right);
        self.edits.close(comparison.end(), ")");
        true
    }

    pub(super) fn call(&mut self, call: &ast::ExprCall) {
        if self.names.is_member(&call.func, "datetime", "timedelta") {
            self.edits.replace(call.func.range(), "_timedelta_of");
            return self.visit_arguments(&call.arguments);
        }
        match &*call.func {
            Expr::Name(name) => {
                if let Some(other) = self.builtin(name.id.as_str(), &call.arguments) {
                    self.edits.replace(name.range(), other);
                }
            }
            Expr::Attribute(attribute) => {
                let is_added = prelude::adds_method(&attribute.attr) && self.names.module(&attribute.value).is_none();
                if is_added {
                    self.method(call, attribute);
                } else {
                    self.attribute(attribute, true);
                }
            }
            other => self.visit_expr(other),
        }
        // A generator that is the only argument has no parentheses of its own.
        match &*call.arguments.args {
            [generator @ Expr::Generator(inner)] if !inner.parenthesized && is_name(&call.func, "next") => {
                self.wrap("iter(", generator, ")");
            }
            _ => self.visit_arguments(&call.arguments),
        }
    }

    /// The function of the prelude that takes the place of a builtin.
    fn builtin(&self, name: &str, arguments: &ast::Arguments) -> Option<String> {
        let has = |word: &str| arguments.find_keyword(word).is_some();
        if self.names.defines(name) {
            return None;
        }
        if self.has_decimals && OVER_DECIMALS.contains(&name) {
            return Some(format!("_op_{name}"));
        }
        let is_other = BUILTINS.contains(&name)
            || BEST_OF.contains(&name) && (has("key") || arguments.args.len() == 1)
            || name == "print" && has("file");
        is_other.then(|| format!("_{name}"))
    }

    /// `path.glob(x)` becomes `_m_glob(path, x)`.
    fn method(&mut self, call: &ast::ExprCall, attribute: &ast::ExprAttribute) {
        let Some(dot) = self.edits.find(attribute.value.end(), attribute.attr.start(), ".") else { return };
        self.edits.open(call.start(), format!("_m_{}(", attribute.attr));
        self.visit_expr(&attribute.value);
        let open = call.arguments.start() + TextSize::of('(');
        self.edits.replace(TextRange::new(dot.start(), open), ", ");
    }

    /// `json.load` becomes `_json_load`, and a method that is not called becomes a function.
    pub(super) fn attribute(&mut self, attribute: &ast::ExprAttribute, is_called: bool) {
        let name = attribute.attr.as_str();
        if let Some(module) = self.names.module(&attribute.value) {
            if prelude::adds(module, name) {
                let added = format!("_{module}_{name}");
                self.edits.replace(attribute.range(), added);
            }
        } else if is_name(&attribute.value, "str") {
            self.edits.replace(attribute.range(), format!("(lambda _s, *_a: _s.{name}(*_a))"));
        } else if !is_called && attribute.ctx == ExprContext::Load && METHOD_VALUES.contains(&name) {
            self.edits.open(attribute.start(), "(lambda *_a: ");
            self.visit_expr(&attribute.value);
            self.edits.close(attribute.end(), "(*_a))");
        } else {
            self.visit_expr(&attribute.value);
        }
    }

    /// `yield x` becomes `_y.append((x))`.
    pub(super) fn yielded(&mut self, whole: TextRange, value: Option<&Expr>, method: &str) {
        let Some(value) = value else { return self.edits.replace(whole, "_y.append(None)") };
        let keyword = if method == "extend" { "from" } else { "yield" };
        let Some(keyword) = self.edits.find(whole.start(), value.start(), keyword) else { return };
        self.edits.replace(TextRange::new(whole.start(), keyword.end()), format!("_y.{method}(("));
        self.visit_expr(value);
        self.edits.close(whole.end(), "))");
    }
}

/// Whether `%` may be formatting; with a number on one side it is, unless the left is a text.
fn may_format(operation: &ast::ExprBinOp) -> bool {
    let is_text = operation.left.is_string_literal_expr() || operation.left.is_f_string_expr();
    is_text || !operation.left.is_number_literal_expr() && !operation.right.is_number_literal_expr()
}

fn is_name(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Name(other) if other.id == name)
}
