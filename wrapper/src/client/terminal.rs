//! Raw mode, taken back on every way out.

use mydocker_sys::tty::{Modes, set_modes, set_raw};
use mydocker_sys::{BorrowedFd, Result};

/// A terminal in raw mode, until this is dropped.
#[derive(Debug)]
pub struct Raw {
    terminal: BorrowedFd<'static>,
    before: Modes,
}

impl Raw {
    /// Makes every key pass as it is.
    ///
    /// # Errors
    /// `ENOTTY` for what is no terminal.
    pub fn set(terminal: BorrowedFd<'static>) -> Result<Self> {
        Ok(Self { terminal, before: set_raw(terminal)? })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone has no modes any more.
        set_modes(self.terminal, &self.before).unwrap_or_default();
    }
}
