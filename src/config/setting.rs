//! One row of the table of settings: its names, its type, its default, its sentence in the documentation.
//! The table drives reading, `check`, the example file, the documentation and the hints for misspelt names.

use super::kind::Kind;

/// One setting.
pub(crate) struct Setting {
    /// Path in a configuration file, dots between sections.
    pub(crate) key: &'static str,
    /// Variable without `SOKETI_` or `BOWLINE_`; empty: there is none.
    pub(crate) variable: &'static str,
    /// Further variables that mean the same.
    pub(crate) aliases: &'static [&'static str],
    /// What it accepts and which part of the configuration it fills.
    pub(crate) kind: Kind,
    /// As it would be written in a variable; empty: not set, or derived as the sentence says.
    pub(crate) default: &'static str,
    /// Sentences for the example and the documentation.
    pub(crate) doc: &'static str,
    /// Never printed, and readable from a file by `…_FILE`.
    pub(crate) secret: bool,
    /// Accepted for Soketi's sake, without meaning here whatever else is set.
    pub(crate) ignored: bool,
}

impl Setting {
    pub(crate) const fn new(
        names: (&'static str, &'static str),
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            key: names.0,
            variable: names.1,
            aliases: &[],
            kind,
            default,
            doc,
            secret: false,
            ignored: false,
        }
    }

    pub(crate) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(crate) const fn ignored(mut self) -> Self {
        self.ignored = true;
        self
    }

    pub(crate) const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Whether a configuration file may hold it: not the name of that file, and the first app only inside the list of apps.
    pub(crate) const fn in_file(&self) -> bool {
        !matches!(self.kind, Kind::ConfigFile | Kind::FirstApp(_))
    }

    /// Its variables without prefix.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &'static str> + use<> {
        let own = Some(self.variable).filter(|name| !name.is_empty());
        own.into_iter().chain(self.aliases.iter().copied())
    }

    /// The sentences on one line.
    pub(crate) fn sentence(&self) -> &'static str {
        self.doc.trim()
    }
}

/// Settings that belong together in the documentation.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) intro: &'static str,
    pub(crate) settings: &'static [Setting],
}

/// Rows of a group: doc comment, key, variable, type, default, then marks.
macro_rules! settings {
    ($name:ident, $title:literal, $intro:literal; $(
        $(#[doc = $doc:literal])+
        $key:literal $variable:literal: $kind:expr, $default:literal $(, .$mark:ident($($arg:expr)?))*;
    )+) => {
        pub(crate) const $name: Group = Group {
            title: $title,
            intro: $intro,
            settings: &[$(
                Setting::new(($key, $variable), $kind, $default, concat!($($doc),+))$(.$mark($($arg)?))*,
            )+],
        };
    };
}
pub(crate) use settings;
