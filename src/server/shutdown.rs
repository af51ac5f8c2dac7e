//! How everything that runs learns that the server is to stop.

use tokio::sync::watch;

/// Told once, heard by everyone. Clones share it.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<bool>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Shutdown {
    /// Tells everyone.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Whether the server has been told to stop.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the server has been told to stop.
    pub async fn begun(&self) {
        // The sender is part of `self`, so waiting ends only with the value.
        let _ = self.0.subscribe().wait_for(|begun| *begun).await;
    }
}
