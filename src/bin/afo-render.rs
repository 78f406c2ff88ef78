//! The program `afo-render`.

fn main() -> std::process::ExitCode {
    afo::cmd::main::<afo::cmd::render::Args>()
}
