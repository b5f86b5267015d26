//! What every server's vectors have to be.

use crate::GenerateError;

/// The most bytes of an answer: some thousands of long vectors as JSON.
pub(crate) const VECTORS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// `vectors`, if there is one for each of so many `texts`, all of one length.
pub(crate) fn checked(vectors: Vec<Vec<f32>>, texts: usize) -> Result<Vec<Vec<f32>>, GenerateError> {
    if vectors.len() != texts {
        let got = vectors.len();
        return Err(GenerateError::Unavailable(format!("expected {texts} vectors, got {got}")));
    }
    if vectors.windows(2).any(|pair| pair[0].len() != pair[1].len()) {
        return Err(GenerateError::Unavailable("the vectors differ in length".to_owned()));
    }
    Ok(vectors)
}
