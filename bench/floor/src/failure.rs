//! What a system call said, for whoever works on this program.

use rustix::io::{Errno, IoSlice};

/// The system call that failed, and its errno.
#[derive(Debug)]
pub(crate) struct Failure {
    what: &'static str,
    errno: Errno,
}

pub(crate) type Result<T> = core::result::Result<T, Failure>;

impl Failure {
    pub(crate) const USAGE: Self =
        Self { what: "usage: floor ROOT NAME HIERARCHIES PROGRAM [ARG...]", errno: Errno::INVAL };

    pub(crate) fn new(what: &'static str, errno: Errno) -> Self {
        Self { what, errno }
    }

    /// On standard error: the call, and the number of the errno.
    pub(crate) fn tell(&self) {
        let mut digits = [b'\n'; 6];
        let mut number = self.errno.raw_os_error().unsigned_abs();
        for digit in digits.iter_mut().take(5).rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
        let text = ["floor: ", self.what, ": errno "].map(str::as_bytes);
        let [program, what, word] = text;
        let parts = [program, what, word, &digits].map(IoSlice::new);
        // ignored: there is nobody else to tell.
        let _ = rustix::io::writev(masu_sys::fd::stderr(), &parts);
    }
}

/// Names the system call.
pub(crate) trait At<T> {
    /// Turns an errno into a [`Failure`] of `what`.
    fn at(self, what: &'static str) -> Result<T>;

    /// The same, where a path that is not there needs no work: every kernel lacks some of those in the default lists.
    fn unless_missing(self, what: &'static str) -> Result<()>;
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, what: &'static str) -> Result<T> {
        self.map_err(|errno| Failure { what, errno })
    }

    fn unless_missing(self, what: &'static str) -> Result<()> {
        match self {
            Err(Errno::NOENT) => Ok(()),
            outcome => outcome.at(what).map(drop),
        }
    }
}
