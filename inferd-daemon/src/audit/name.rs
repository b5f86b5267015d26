//! A name in a row: of a lane, of a model.
//!
//! Invariant: a short one, as nearly all are, is kept in place. Rows are made on the threads that answer requests and
//! dropped on another one, which is the dearest way there is to use an allocator.

/// The longest name that is kept in place, in bytes.
const SHORT: usize = 30;

/// A name.
#[derive(Debug, Clone)]
pub struct Name(Kept);

#[derive(Debug, Clone)]
enum Kept {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

impl Name {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // It was made of a string, and is one.
            Kept::Short { len, bytes } => bytes
                .get(..usize::from(*len))
                .and_then(|name| std::str::from_utf8(name).ok())
                .unwrap_or_default(),
            Kept::Long(name) => name,
        }
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(name.as_bytes());
                Self(Kept::Short { len, bytes })
            }
            _ => Self(Kept::Long(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_length_is_what_it_was() {
        for length in [0, 1, SHORT / 2, SHORT / 2 + 1, 255, 256, 1000] {
            let name = "ä".repeat(length);
            assert_eq!(Name::from(name.as_str()).as_str(), name);
        }
        assert!(size_of::<Option<Name>>() <= 32, "{}", size_of::<Option<Name>>());
    }
}
