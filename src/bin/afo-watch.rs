//! The program `afo-watch`.

fn main() -> std::process::ExitCode {
    afo::cmd::main::<afo::cmd::watch::Args>()
}
