//! `epsilon-lab`: the server and the command line.

use std::process::ExitCode;

use clap::Parser;
use epsilon_lab::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("epsilon-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}
