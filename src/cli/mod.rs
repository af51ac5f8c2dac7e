//! The command line: one file per command.
//!
//! A command's `run` returns an error whose message is a sentence that says what to do; `main` prints it and exits with
//! code 1. Wrong usage exits with code 2, as clap does.

pub mod attack;
pub mod evaluate;
pub mod pack;
pub mod serve;
mod settings;
mod signals;
mod store;
pub mod train;
pub mod worker;

use clap::{Parser, Subcommand};

use crate::data::publish::PrepareData;

/// What `epsilon-lab` was asked to do.
#[derive(Debug, Parser)]
#[command(name = "epsilon-lab", version, about, long_about = None, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  epsilon-lab serve                      the Lab at http://127.0.0.1:8000
  epsilon-lab serve --bind 0.0.0.0       for everyone on this network
  epsilon-lab attack --model fashion-standard --attack deepfool --norm l2 --out found.npz
  epsilon-lab evaluate --model fashion-standard --epsilon 0.1 --steps 40 --alpha 0.01
  epsilon-lab train fashion-standard     the shipped model again

`epsilon-lab <command> --help` says more about a command.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the Lab over HTTP
    Serve(serve::Serve),
    /// Compute batches for a server, on this machine or another
    Worker(worker::Worker),
    /// Attack test pictures, say what became of each, and keep the adversarial pictures
    Attack(attack::Attack),
    /// Count how many test pictures a model classifies correctly, as they are and under attack
    Evaluate(evaluate::Evaluate),
    /// Compress the files of a built page, for the server to send as they are
    Pack(pack::Pack),
    /// Train a model by a recipe and write its weights and its card
    Train(train::Train),
    /// Make the shipped test pictures from the complete data sets
    PrepareData(PrepareData),
}

impl Cli {
    /// Does it.
    ///
    /// # Errors
    /// A sentence that says what happened and what to do.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Worker(worker) => worker.run(),
            Command::Attack(attack) => attack.run(),
            Command::Evaluate(evaluate) => evaluate.run(),
            Command::Pack(pack) => pack.run(),
            Command::Train(train) => train.run(),
            Command::PrepareData(prepare) => {
                Ok(prepare.run(|path, bytes| println!("{} ({bytes} bytes)", path.display()))?)
            }
        }
    }
}
