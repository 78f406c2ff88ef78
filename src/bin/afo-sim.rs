//! The program `afo-sim`.

fn main() -> std::process::ExitCode {
    afo::cmd::main::<afo::cmd::sim::Args>()
}
