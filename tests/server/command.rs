//! The program itself: what it prints, and how it exits.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use epsilon_lab::data::Dataset;
use epsilon_lab::evaluate::Tally;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epsilon-lab"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("RUST_LOG", "info").env("RUST_BACKTRACE", "1");
    command
}

/// `serve` for a page without anything, with the project's models and pictures.
fn serve(folder: &Path) -> Command {
    fs::write(folder.join("index.html"), "<!doctype html>").unwrap();
    let mut command = program();
    command.arg("serve").args(["--assets", "assets", "--port", "0"]);
    command.arg("--dist").arg(folder).arg("--data-dir").arg(folder.join("data"));
    command
}

/// Asserts that it fails with one line that has this in it.
fn fails(output: &Output, sentence: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.starts_with("epsilon-lab: ") && told.lines().count() == 1 && told.contains(sentence), "{told}");
}

#[test]
fn what_keeps_the_server_from_starting_is_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    fails(&program().args(["serve", "--dist", "no-such-folder"]).output().unwrap(), "`make serve`");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    fails(&serve(folder.path()).args(["--port", &port]).output().unwrap(), "choose another with --port");
    fails(&serve(folder.path()).args(["--data-dir", "Cargo.toml/data"]).output().unwrap(), "--data-dir");
    fails(&serve(folder.path()).args(["--assets", "no-such-folder"]).output().unwrap(), "--assets");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_server_in_order() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = serve(folder.path()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("Epsilon Lab is at http://127.0.0.1:"), "{address}");
        assert!(folder.path().join("data").is_dir());
        assert!(Command::new("kill").args([signal, &server.id().to_string()]).status().unwrap().success());
        assert_eq!(server.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn an_evaluation_is_printed_as_json_and_as_a_table() {
    let settings = ["evaluate", "--model", "digits-standard", "--pictures", "20", "--steps", "2"];
    let output = program().args(settings).arg("--json").output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let tally: Tally = serde_json::from_value(report["tally"].clone()).unwrap();
    assert_eq!((tally.total().pictures, tally.classes.len()), (20, 10));
    assert_eq!(report["total"]["clean"], tally.total().clean);
    let table = String::from_utf8(program().args(settings).output().unwrap().stdout).unwrap();
    for class in Dataset::Digits.classes() {
        assert!(table.lines().any(|line| line.starts_with(class)), "{table}");
    }
    fails(&program().args(settings).args(["--epsilon", "NaN"]).output().unwrap(), "ε = NaN is out of range");
    fails(&program().args(settings).args(["--pictures", "501"]).output().unwrap(), "choose 1 to 500");
}
