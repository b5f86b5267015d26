//! Nothing is passed on here.

use std::io;

use crate::endpoint::Inherited;

#[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
pub(crate) fn inherited() -> io::Result<Inherited> {
    Ok(Inherited::default())
}
