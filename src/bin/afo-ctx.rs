//! The program `afo-ctx`.

fn main() -> std::process::ExitCode {
    afo::cmd::main::<afo::cmd::ctx::Args>()
}
