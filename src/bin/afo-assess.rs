//! The program `afo-assess`.

fn main() -> std::process::ExitCode {
    afo::cmd::main::<afo::cmd::assess::Args>()
}
