//! Statements that the interpreter lacks: `del`, assignment to slices and several places, generators,
//! exception classes.

use ruff_python_ast::visitor::{Visitor, walk_body, walk_expr, walk_stmt};
use ruff_python_ast::{self as ast, Expr, Operator, Stmt};
use ruff_text_size::{Ranged as _, TextRange};

use super::{Rewriter, decimal_operator};

impl Rewriter<'_> {
    /// `del d[k]` becomes `_delete(d, k)`, `del name` becomes `name = None`.
    pub(super) fn delete(&mut self, delete: &ast::StmtDelete) {
        let part = |target: &Expr| match target {
            Expr::Subscript(subscript) => {
                format!("_delete({}, {})", self.edits.text(subscript.value.range()), self.key(&subscript.slice))
            }
            other => format!("{} = None", self.edits.text(other.range())),
        };
        let parts: Vec<String> = delete.targets.iter().map(part).collect();
        self.edits.replace(delete.range(), parts.join("; "));
    }

    /// What stands in `[…]`, as a value.
    fn key(&self, slice: &Expr) -> String {
        let Expr::Slice(slice) = slice else { return self.edits.text(slice.range()).to_owned() };
        let part = |part: &Option<Box<Expr>>| part.as_ref().map_or("None", |part| self.edits.text(part.range()));
        format!("slice({}, {}, {})", part(&slice.lower), part(&slice.upper), part(&slice.step))
    }

    /// `x[a:b] = values` becomes `_set_slice(x, slice(a, b, None), values)`.
    pub(super) fn assign_slice(&mut self, assign: &ast::StmtAssign) -> bool {
        let [Expr::Subscript(target)] = assign.targets.as_slice() else { return false };
        if !target.slice.is_slice_expr() {
            return false;
        }
        let call = format!("_set_slice({}, {},", self.edits.text(target.value.range()), self.key(&target.slice));
        self.assign(assign, target.range(), &call, ")")
    }

    /// `a[i], a[j] = a[j], a[i]` becomes `_t = list((a[j], a[i])); a[i] = _t[0]; a[j] = _t[1]`.
    pub(super) fn assign_parts(&mut self, assign: &ast::StmtAssign) -> bool {
        let [Expr::Tuple(target)] = assign.targets.as_slice() else { return false };
        let is_place = |expr: &Expr| matches!(expr, Expr::Name(_) | Expr::Subscript(_) | Expr::Attribute(_));
        if !target.elts.iter().all(is_place) || target.elts.iter().all(Expr::is_name_expr) {
            return false;
        }
        let place = |(idx, place): (usize, &Expr)| format!("; {} = _t[{idx}]", self.edits.text(place.range()));
        let parts: String = target.elts.iter().enumerate().map(place).collect();
        self.assign(assign, target.range(), "_t = list((", &format!(")){parts}"))
    }

    /// Puts `open` in the place of everything up to `=`, and `close` behind the value.
    fn assign(&mut self, assign: &ast::StmtAssign, target: TextRange, open: &str, close: &str) -> bool {
        let Some(sign) = self.edits.find(target.end(), assign.value.start(), "=") else { return false };
        self.edits.replace(TextRange::new(assign.start(), sign.end()), open);
        self.visit_expr(&assign.value);
        self.edits.close(assign.end(), close);
        true
    }

    /// `d |= e` becomes `d = _or(d, e)`, and so every operator where there are decimals.
    pub(super) fn augmented(&mut self, assign: &ast::StmtAugAssign) -> bool {
        let name = match assign.op {
            Operator::BitOr => "_or",
            operator if self.has_decimals => match decimal_operator(operator) {
                Some(name) => name,
                None => return false,
            },
            Operator::Add | Operator::Sub if super::expression::is_condition(&assign.value) => {
                self.visit_expr(&assign.target);
                self.wrap("int(", &assign.value, ")");
                return true;
            }
            _ => return false,
        };
        let sign = format!("{}=", assign.op.as_str());
        let Some(sign) = self.edits.find(assign.target.end(), assign.value.start(), &sign) else { return false };
        self.visit_expr(&assign.target);
        let target = self.edits.text(assign.target.range());
        self.edits.replace(sign, format!("= {name}({target}, "));
        self.visit_expr(&assign.value);
        self.edits.close(assign.end(), ")");
        true
    }

    /// `class Wrong(ValueError): …` becomes `Wrong = ValueError`; a base `object` is dropped.
    pub(super) fn class(&mut self, class: &ast::StmtClassDef) -> bool {
        let Some(arguments) = &class.arguments else { return false };
        let is_empty = class.body.iter().all(|stmt| match stmt {
            Stmt::Pass(_) => true,
            Stmt::Expr(stmt) => stmt.value.is_string_literal_expr() || stmt.value.is_ellipsis_literal_expr(),
            _ => false,
        });
        match &*arguments.args {
            [] => self.edits.replace(arguments.range(), ""),
            [Expr::Name(base)] if base.id == "object" => self.edits.replace(arguments.range(), ""),
            [Expr::Name(base)] if is_empty => {
                self.edits.replace(class.range(), format!("{} = {}", class.name, base.id));
                return true;
            }
            _ => {}
        }
        false
    }

    /// A function with `yield` collects what it yields and returns an iterator over it.
    pub(super) fn function(&mut self, function: &ast::StmtFunctionDef) {
        let outer = std::mem::replace(&mut self.in_generator, yields(&function.body));
        if let (Some(first), Some(last), true) = (function.body.first(), function.body.last(), self.in_generator) {
            let indent = self.edits.line_before(first.start());
            let separator = if indent.trim().is_empty() { format!("\n{indent}") } else { "; ".to_owned() };
            self.edits.open(first.start(), format!("_y = []{separator}"));
            walk_body(self, &function.body);
            self.edits.close(last.end(), format!("{separator}return iter(_y)"));
        } else {
            walk_body(self, &function.body);
        }
        self.in_generator = outer;
    }
}

/// Whether a function with this body is a generator.
fn yields(body: &[Stmt]) -> bool {
    struct Finder(bool);
    impl<'a> Visitor<'a> for Finder {
        fn visit_stmt(&mut self, stmt: &'a Stmt) {
            if !matches!(stmt, Stmt::FunctionDef(_) | Stmt::ClassDef(_)) {
                walk_stmt(self, stmt);
            }
        }

        fn visit_expr(&mut self, expr: &'a Expr) {
            self.0 |= matches!(expr, Expr::Yield(_) | Expr::YieldFrom(_));
            if !matches!(expr, Expr::Lambda(_)) {
                walk_expr(self, expr);
            }
        }
    }
    let mut finder = Finder(false);
    finder.visit_body(body);
    finder.0
}
