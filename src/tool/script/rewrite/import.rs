//! Imports: which names stand for which modules, and where the prelude's modules take their place.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::visitor::{Visitor, walk_stmt};
use ruff_python_ast::{self as ast, Expr, Stmt};
use ruff_text_size::Ranged as _;

use super::Rewriter;
use crate::tool::script::prelude;

/// What the names of a program stand for.
#[derive(Default)]
pub(super) struct Names {
    pub modules: BTreeSet<String>,
    /// Module by the local name that an `import` gives it.
    aliases: BTreeMap<String, String>,
    /// `(module, name)` by the local name that a `from` import gives it.
    members: BTreeMap<String, (String, String)>,
    /// Functions that the program defines.
    functions: BTreeSet<String>,
}

impl Names {
    pub fn of(body: &[Stmt]) -> Self {
        let mut names = Self::default();
        names.visit_body(body);
        names
    }

    /// The module that an expression is, if it is the name of one.
    pub fn module(&self, expr: &Expr) -> Option<&str> {
        let Expr::Name(name) = expr else { return None };
        self.aliases.get(name.id.as_str()).map(String::as_str)
    }

    /// Whether the expression is `name` of `module`, however it was imported.
    pub fn is_member(&self, expr: &Expr, module: &str, name: &str) -> bool {
        match expr {
            Expr::Name(local) => {
                self.members.get(local.id.as_str()).is_some_and(|(of, member)| of == module && member == name)
            }
            Expr::Attribute(attribute) => {
                attribute.attr.as_str() == name && self.module(&attribute.value) == Some(module)
            }
            _ => false,
        }
    }

    /// Whether the program defines a function of that name.
    pub fn defines(&self, name: &str) -> bool {
        self.functions.contains(name)
    }
}

impl<'a> Visitor<'a> for Names {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Import(import) => {
                for alias in &import.names {
                    let root = root(&alias.name);
                    let (local, module) = match &alias.asname {
                        Some(local) => (local.as_str(), alias.name.as_str()),
                        None => (root, root),
                    };
                    self.modules.insert(root.to_owned());
                    self.aliases.insert(local.to_owned(), module.to_owned());
                }
            }
            Stmt::ImportFrom(import) => {
                let module = import.module.as_ref().map_or("", |name| name.as_str());
                self.modules.insert(root(module).to_owned());
                for alias in &import.names {
                    let local = alias.asname.as_ref().unwrap_or(&alias.name);
                    self.members.insert(local.to_string(), (module.to_owned(), alias.name.to_string()));
                }
            }
            Stmt::FunctionDef(function) => {
                self.functions.insert(function.name.to_string());
                walk_stmt(self, stmt);
            }
            _ => walk_stmt(self, stmt),
        }
    }
}

fn root(module: &str) -> &str {
    module.split('.').next().unwrap_or_default()
}

impl Rewriter<'_> {
    /// `import csv as c` becomes `c = _mod_csv`; what the interpreter has stays an import.
    pub(super) fn import(&mut self, import: &ast::StmtImport) {
        let part = |alias: &ast::Alias| {
            let module = alias.name.as_str();
            let local = alias.asname.as_ref().map_or(root(module), |name| name.as_str());
            match module {
                "os.path" if alias.asname.is_some() => format!("{local} = _os_path"),
                "os.path" => "import os".to_owned(),
                "collections.abc" => "import collections".to_owned(),
                _ if prelude::is_whole(root(module)) => format!("{local} = _mod_{}", root(module)),
                _ if alias.asname.is_some() => format!("import {module} as {local}"),
                _ => format!("import {module}"),
            }
        };
        let parts: Vec<String> = import.names.iter().map(part).collect();
        self.edits.replace(import.range(), parts.join("; "));
    }

    /// `from os import path, sep` becomes `path = _os_path; from os import sep`.
    pub(super) fn import_from(&mut self, import: &ast::StmtImportFrom) {
        if import.level > 0 {
            return;
        }
        let module = import.module.as_ref().map_or("", |name| name.as_str());
        let part = |alias: &ast::Alias| {
            let name = alias.name.as_str();
            let local = alias.asname.as_ref().map_or(name, |name| name.as_str());
            match module {
                "__future__" => "pass".to_owned(),
                "os.path" => format!("{local} = _os_path.{name}"),
                "collections.abc" if prelude::adds("abc", name) => format!("{local} = _abc_{name}"),
                _ if prelude::is_whole(module) => format!("{local} = _mod_{module}.{name}"),
                _ if prelude::adds(module, name) => format!("{local} = _{module}_{name}"),
                _ if local == name => format!("from {module} import {name}"),
                _ => format!("from {module} import {name} as {local}"),
            }
        };
        let parts: Vec<String> = import.names.iter().map(part).collect();
        self.edits.replace(import.range(), parts.join("; "));
    }
}
