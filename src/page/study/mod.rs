//! The pages beside the Lab, each of one study. They share the Lab's experiment, and each asks the engine for what it
//! shows.

mod gap;
mod inside;
mod linearity;
mod smallest;
mod subject;
mod transfer;
mod work;

pub use gap::GapPage;
pub use inside::InsidePage;
pub use linearity::LinearityPage;
pub use smallest::SmallestPage;
pub use subject::{Offers, SubjectBar};
pub use transfer::TransferPage;
