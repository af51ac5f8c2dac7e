//! Parameters as declarations: everything that reads, checks, stores or shows one follows from this.

/// A parameter of one attack, beyond the settings that attacks have in common.
#[derive(Debug, PartialEq)]
pub struct Parameter {
    /// The name in links and commands; none of those that links use for other things.
    pub key: &'static str,
    /// The name for people, with its symbol.
    pub label: &'static str,
    /// The unit, empty if there is none.
    pub unit: &'static str,
    /// A sentence that says what it does.
    pub help: &'static str,
    /// Its values.
    pub kind: Kind,
}

/// The values of a [`Parameter`]. Each is stored as one number.
#[derive(Debug, PartialEq)]
pub enum Kind {
    /// A number within a range.
    Number {
        /// Used if nothing else is said.
        default: f32,
        /// The least allowed.
        least: f32,
        /// The greatest allowed.
        greatest: f32,
        /// What a slider's arrow key adds.
        step: f32,
        /// Whether it is a whole number.
        whole: bool,
    },
    /// One of several; stored as the index.
    Choice {
        /// Key and name for people of each.
        options: &'static [(&'static str, &'static str)],
        /// The index of the one that is used if nothing else is said.
        default: usize,
    },
    /// On, stored as 1, or off, 0.
    Switch {
        /// Used if nothing else is said.
        default: bool,
    },
}

impl Parameter {
    /// The value that is used if nothing else is said.
    pub fn default(&self) -> f32 {
        match self.kind {
            Kind::Number { default, .. } => default,
            Kind::Choice { default, .. } => default as f32,
            Kind::Switch { default } => default as u8 as f32,
        }
    }

    /// Whether a value is one of this parameter's.
    pub fn allows(&self, value: f32) -> bool {
        match self.kind {
            // NaN fails every comparison.
            Kind::Number { least, greatest, whole, .. } => {
                value >= least && value <= greatest && (!whole || value.fract() == 0.0)
            }
            Kind::Choice { options, .. } => (0..options.len()).any(|index| value == index as f32),
            Kind::Switch { .. } => value == 0.0 || value == 1.0,
        }
    }

    /// What is allowed, to follow "choose".
    pub fn range(&self) -> String {
        match self.kind {
            Kind::Number { least, greatest, whole: true, .. } => format!("a whole number from {least} to {greatest}"),
            Kind::Number { least, greatest, .. } => format!("{least} to {greatest}"),
            Kind::Choice { options, .. } => {
                let keys: Vec<_> = options.iter().map(|(key, _)| *key).collect();
                format!("one of {}", keys.join(", "))
            }
            Kind::Switch { .. } => "on or off".into(),
        }
    }

    /// A value as it is written in links and commands.
    pub fn written(&self, value: f32) -> String {
        match self.kind {
            Kind::Number { .. } => value.to_string(),
            Kind::Choice { options, .. } => {
                options.get(value as usize).map_or(value.to_string(), |(key, _)| (*key).into())
            }
            Kind::Switch { .. } => if value == 0.0 { "off" } else { "on" }.into(),
        }
    }

    /// The inverse of [`Self::written`]; none if it is not a value of this parameter's kind. Ranges are not checked.
    pub fn read(&self, text: &str) -> Option<f32> {
        match self.kind {
            Kind::Number { .. } => text.parse().ok(),
            Kind::Choice { options, .. } => options.iter().position(|(key, _)| *key == text).map(|index| index as f32),
            Kind::Switch { .. } => ["off", "on"].iter().position(|word| *word == text).map(|index| index as f32),
        }
    }
}
