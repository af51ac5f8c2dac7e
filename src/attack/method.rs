//! A registered attack as a small value.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::declared::registered;
use super::{ATTACKS, Attack, fgsm, pgd};

/// A handle to a registered [`Attack`]: copied freely, equal if the attacks are, written as the attack's key.
///
/// ```
/// use epsilon_lab::attack::Method;
///
/// let method = Method::from_key("pgd").unwrap();
/// assert_eq!((method, method.title()), (Method::PGD, "PGD"));
/// ```
#[derive(Clone, Copy)]
pub struct Method(&'static dyn Attack);

impl Method {
    /// The fast gradient sign method.
    pub const FGSM: Self = Self(registered!(fgsm::Fgsm));
    /// Projected gradient descent.
    pub const PGD: Self = Self(registered!(pgd::Pgd));

    /// All of them, in the order in which they are offered.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        ATTACKS.iter().map(|attack| Self(*attack))
    }

    /// The attack with this [`Attack::key`].
    pub fn from_key(key: &str) -> Option<Self> {
        Self::all().find(|method| method.key() == key)
    }
}

/// An attack that need not be registered, to be run from code.
impl From<&'static dyn Attack> for Method {
    fn from(attack: &'static dyn Attack) -> Self {
        Self(attack)
    }
}

impl Default for Method {
    fn default() -> Self {
        Self::PGD
    }
}

impl Deref for Method {
    type Target = dyn Attack;
    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Method {}

impl Hash for Method {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        let known = || Self::all().map(|method| method.key()).collect::<Vec<_>>().join(", ");
        Self::from_key(&key).ok_or_else(|| {
            serde::de::Error::custom(format_args!("there is no attack “{key}”: choose one of {}", known()))
        })
    }
}
