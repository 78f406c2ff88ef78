//! The program `afo-queue`.

fn main() -> std::process::ExitCode {
    afo::cmd::main::<afo::cmd::queue::Args>()
}
