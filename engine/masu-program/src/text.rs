//! Texts that the kernel takes as they are: NUL-terminated, borrowed from the program.

use core::{ffi::CStr, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One C string, encoded with its NUL so that it is handed to the kernel without a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CText<'a>(&'a CStr);

impl<'a> CText<'a> {
    /// Wraps `text`.
    #[must_use]
    pub const fn new(text: &'a CStr) -> Self {
        Self(text)
    }

    /// The text as the kernel takes it.
    #[must_use]
    pub const fn as_c_str(self) -> &'a CStr {
        self.0
    }
}

impl fmt::Debug for CText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for CText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.to_bytes_with_nul())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for CText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&[u8]>::deserialize(deserializer)?;
        CStr::from_bytes_with_nul(bytes).map(Self).map_err(|_| de::Error::custom("text without NUL"))
    }
}

/// A list of C strings, one after the other, each with its NUL.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Texts<'a> {
    encoded: &'a [u8],
}

impl<'a> Texts<'a> {
    /// The list whose texts stand in `encoded`; `None` when the last one lacks its NUL.
    #[must_use]
    pub fn from_encoded(encoded: &'a [u8]) -> Option<Self> {
        matches!(encoded.last(), None | Some(0)).then_some(Self { encoded })
    }

    /// How many texts there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.encoded.iter().filter(|byte| **byte == 0).count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.encoded.is_empty()
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        let text = CStr::from_bytes_until_nul(self.encoded).ok()?;
        self.encoded = self.encoded.get(text.to_bytes_with_nul().len()..)?;
        Some(text)
    }
}

impl fmt::Debug for Texts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.encoded)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&[u8]>::deserialize(deserializer)?;
        Self::from_encoded(bytes).ok_or_else(|| de::Error::custom("texts without NUL"))
    }
}
