//! The program `afo-log`.

fn main() -> std::process::ExitCode {
    afo::cmd::main::<afo::cmd::log::Args>()
}
