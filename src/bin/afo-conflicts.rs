//! The program `afo-conflicts`.

fn main() -> std::process::ExitCode {
    afo::cmd::main::<afo::cmd::conflicts::Args>()
}
