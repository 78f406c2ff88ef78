//! The program `afo-check`.

fn main() -> std::process::ExitCode {
    afo::cmd::main::<afo::cmd::check::Args>()
}
