//! The program `afo-gen`.

fn main() -> std::process::ExitCode {
    afo::cmd::main::<afo::cmd::r#gen::Args>()
}
