//! What an option is. One static per option; its type says what can be asked of it.

/// One option: a row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// The long name, without dashes.
    pub long: &'static str,
    /// The name of one letter.
    pub short: Option<char>,
    /// What kind of value it takes, if any.
    pub kind: Kind,
    /// The name of the value in help texts, such as `DIR`; empty for a switch.
    pub value_name: &'static str,
    /// Whether it may be given several times, all values counting.
    pub repeatable: bool,
    /// What holds when it is not given.
    pub default: Default,
    /// Whether it works, and whether help shows it.
    pub availability: Availability,
    /// What it does: one or two sentences without a final period.
    pub help: &'static str,
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No value, or `=true` and `=false` in any spelling that Go's `strconv.ParseBool` knows.
    Switch,
    /// Any text; an empty one counts as not given.
    Text,
    /// Any text but the empty one.
    Nonempty,
    /// One of a few words.
    Choice {
        /// The words that work.
        works: &'static [&'static str],
        /// The words that are known and do not work yet.
        planned: &'static [&'static str],
    },
    /// `true`, `false` (spelled as for a switch) or `auto`.
    BoolOrAuto,
    /// A whole number within these limits, both included; decimal, or after `0x`, `0o` or `0b`.
    Number {
        /// The least number allowed.
        min: i64,
        /// The greatest number allowed.
        max: i64,
    },
    /// A span of time, as Go writes it: `100ms`, `1m30s`.
    Duration,
    /// An amount of bytes: a number, with a suffix k, m, g, t or p for powers of 1024; or -1 for no limit.
    Size,
}

/// What holds when an option is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// Nothing.
    None,
    /// This value, which [`crate::Matches::value`] then returns.
    Value(&'static str),
    /// Something the program finds out; these words describe it in help texts.
    Described(&'static str),
}

/// Whether something works, and whether help shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Works, and is in the help.
    Shown,
    /// Works, for old callers only; not in the help.
    Hidden,
}

/// An option without a value.
#[derive(Debug)]
pub struct Switch(pub Opt);
/// An option with one text.
#[derive(Debug)]
pub struct Text(pub Opt);
/// A repeatable option with texts.
#[derive(Debug)]
pub struct Texts(pub Opt);
/// An option with one whole number.
#[derive(Debug)]
pub struct Number(pub Opt);
/// A repeatable option with whole numbers.
#[derive(Debug)]
pub struct Numbers(pub Opt);
/// An option with a span of time.
#[derive(Debug)]
pub struct Duration(pub Opt);
/// An option with an amount of bytes.
#[derive(Debug)]
pub struct Size(pub Opt);

impl Opt {
    /// Whether `name` (without dashes) is one of the names of this option. Dashes do not matter, as in Go's
    /// `flag`: `--f` and `-format` are good names.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        let mut chars = name.chars();
        self.long == name || (self.short.is_some() && chars.next() == self.short && chars.next().is_none())
    }

    pub(crate) const fn new(
        kind: Kind,
        long: &'static str,
        value_name: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            long,
            short: None,
            kind,
            value_name,
            repeatable: false,
            default: Default::None,
            availability: Availability::Shown,
            help,
        }
    }

    pub(crate) const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    pub(crate) const fn default_value(mut self, value: &'static str) -> Self {
        self.default = Default::Value(value);
        self
    }

    pub(crate) const fn default_described(mut self, words: &'static str) -> Self {
        self.default = Default::Described(words);
        self
    }

    pub(crate) const fn hidden(mut self) -> Self {
        self.availability = Availability::Hidden;
        self
    }

    pub(crate) const fn switch(long: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Switch, long, "", help)
    }

    pub(crate) const fn text(long: &'static str, value_name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Text, long, value_name, help)
    }

    pub(crate) const fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}
