//! The binary: flags and their subcommands.

mod cli;

/// Gives memory back to the system soon after clients have left; ARCHITECTURE.md has the figures beside glibc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main(std::env::args_os())
}
