//! The `partita` binary: hands the command line to the library and exits with its code.

use std::process::ExitCode;

use partita::tool::script;

fn main() -> ExitCode {
    // A script runs in a process of its own, which is this program under a hidden name.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == script::ARGUMENT) {
        return script::child_main();
    }
    partita::cli::main()
}
