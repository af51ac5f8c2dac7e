//! The command line: `epsilon-lab --help` tells what it does.

use clap::Parser;
use epsilon_lab::data::publish::PrepareData;

/// See how neural networks are attacked, defended, certified and understood.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Make the shipped test pictures from the complete data sets
    PrepareData(PrepareData),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::PrepareData(command) => {
            command.run(|path, bytes| println!("{} ({bytes} bytes)", path.display()))?;
        }
    }
    Ok(())
}
