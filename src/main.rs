//! The binary: flags and their subcommands.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main(std::env::args_os())
}
