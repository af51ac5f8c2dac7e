//! A Postgres of our own: the server that the system's package has installed, on a socket in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running server. It ends when it is dropped.
pub struct Server {
    process: Child,
    folder: TempDir,
    programs: PathBuf,
}

/// Where Debian and others put the programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from("/usr/bin"))
}

/// A program of Postgres, which refuses to be root.
fn command(program: &Path) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

impl Server {
    /// Starts one; takes a second or two.
    ///
    /// # Panics
    /// If Postgres is not installed.
    pub fn start() -> Self {
        let programs = programs();
        let folder = tempfile::tempdir().unwrap();
        let _ = Command::new("chown").arg("postgres").arg(folder.path()).stderr(Stdio::null()).status();
        let data = folder.path().join("data");
        let made = command(&programs.join("initdb"))
            .args(["--auth=trust", "--username=lab", "--no-sync", "-D"])
            .arg(&data)
            .current_dir(folder.path())
            .output()
            .expect("Postgres is not installed: install the package postgresql");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let process = command(&programs.join("postgres"))
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=60", "-k"])
            .arg(folder.path())
            .arg("-D")
            .arg(&data)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, folder, programs };
        let began = Instant::now();
        while !server.sql("SELECT 1") {
            assert!(began.elapsed() < Duration::from_secs(20), "Postgres does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn sql(&self, sql: &str) -> bool {
        let asked = command(&self.programs.join("psql"))
            .arg("-h")
            .arg(self.folder.path())
            .args(["-U", "lab", "-d", "postgres", "-c", sql])
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    }

    /// The address of a new, empty database.
    pub fn database(&self, name: &str) -> String {
        let name: String = name.chars().take(60).collect();
        assert!(self.sql(&format!("CREATE DATABASE {name}")), "{name}");
        format!("postgres://lab@localhost/{name}?host={}", self.folder.path().display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A word of its own: killed outright it would leave its helpers behind.
        let _ = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}
