//! masu's exact words, by the sentence of the case. `DIR` is the directory of the case, `ROOT` its state directory,
//! `ID` the id of its container.

/// The sentence and the text of standard error.
pub(super) const MESSAGES: &[(&str, &str)] = &[];
