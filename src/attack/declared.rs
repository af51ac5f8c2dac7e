//! What the page needs of an attack: all that it declares, and not its search, which would be half of the page's program.

use super::{Access, Aim, Attack, Oracle, Parameter, Searching, Subject, Uses};
use crate::experiment::AttackSettings;
use crate::threat::{Norm, Threat};

/// An attack that is registered: without its search in the page, which computes nothing.
macro_rules! registered {
    ($attack:expr) => {{
        #[cfg(all(feature = "page", not(feature = "engine")))]
        const REGISTERED: &dyn $crate::attack::Attack = &$crate::attack::declared::Declared($attack);
        #[cfg(not(all(feature = "page", not(feature = "engine"))))]
        const REGISTERED: &dyn $crate::attack::Attack = &$attack;
        REGISTERED
    }};
}
pub(super) use registered;

/// An attack without its search.
#[cfg_attr(not(all(feature = "page", not(feature = "engine"))), allow(dead_code))]
pub(super) struct Declared<A>(pub(super) A);

impl<A: Attack> Attack for Declared<A> {
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

    fn access(&self) -> Access {
        self.0.access()
    }

    fn aim(&self) -> Aim {
        self.0.aim()
    }

    fn norms(&self) -> &'static [Norm] {
        self.0.norms()
    }

    fn uses(&self) -> Uses {
        self.0.uses()
    }

    fn parameters(&self) -> &'static [&'static Parameter] {
        self.0.parameters()
    }

    fn alpha(&self, settings: &AttackSettings, epsilon: f32) -> f32 {
        self.0.alpha(settings, epsilon)
    }

    fn alpha_rule(&self) -> &'static str {
        self.0.alpha_rule()
    }

    fn cost(&self, settings: &AttackSettings) -> u32 {
        self.0.cost(settings)
    }

    fn pytorch(&self, settings: &AttackSettings, threat: &Threat) -> Option<String> {
        self.0.pytorch(settings, threat)
    }

    fn search(&self, _: Subject, _: Oracle) -> Searching {
        unreachable!("the page attacks nothing itself: its engine does")
    }
}
