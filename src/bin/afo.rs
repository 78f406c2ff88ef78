//! The program `afo`.

fn main() -> std::process::ExitCode {
    afo::cmd::main::<afo::cmd::afo::Args>()
}
