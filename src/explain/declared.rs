//! What the page needs of a map: all that it declares, and not how it is computed.

use super::{Map, MapSettings, Subject, Unavailable, Work};
use crate::attack::Parameter;
use crate::nn::Architecture;

/// A map that is registered: without its computation in the page, which computes nothing.
macro_rules! registered {
    ($map:expr) => {{
        #[cfg(all(feature = "page", not(feature = "engine")))]
        const REGISTERED: &dyn $crate::explain::Map = &$crate::explain::declared::Declared($map);
        #[cfg(not(all(feature = "page", not(feature = "engine"))))]
        const REGISTERED: &dyn $crate::explain::Map = &$map;
        REGISTERED
    }};
}
pub(super) use registered;

/// A map without its computation.
#[cfg_attr(not(all(feature = "page", not(feature = "engine"))), allow(dead_code))]
pub(super) struct Declared<M>(pub(super) M);

impl<M: Map> Map for Declared<M> {
    fn key(&self) -> &'static str {
        self.0.key()
    }

    fn title(&self) -> &'static str {
        self.0.title()
    }

    fn summary(&self) -> &'static str {
        self.0.summary()
    }

    fn paper(&self) -> &'static str {
        self.0.paper()
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        self.0.parameters()
    }

    fn suits(&self, network: &Architecture) -> bool {
        self.0.suits(network)
    }

    fn begin(&self, _: &Subject, _: &MapSettings) -> Result<Box<dyn Work>, Unavailable> {
        unreachable!("the page computes no map itself: its engine does")
    }
}
