//! The program `afo-deploy`.

fn main() -> std::process::ExitCode {
    afo::cmd::main::<afo::cmd::deploy::Args>()
}
