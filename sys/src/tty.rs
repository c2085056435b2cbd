//! Terminals: pairs, sizes and modes.

use crate::error::{Context, Result, check, describe};
use nix::sys::termios::{SetArg, Termios};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// The size of a terminal in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// Unlocks the terminal pair whose multiplexer (an open `ptmx`) is `multiplexer` and opens its other end by
/// descriptor (`TIOCGPTPEER`, Linux 4.13), so that no path that a container controls is looked up.
///
/// # Errors
/// What the kernel says.
pub fn open_peer(multiplexer: impl AsFd) -> Result<OwnedFd> {
    let fd = multiplexer.as_fd();
    let unlock: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int from a live variable.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock) };
    check(ret.into(), "ioctl", || format!("{}, TIOCSPTLCK", describe(fd)))?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags by value and returns a new descriptor.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    check(ret.into(), "ioctl", || format!("{}, TIOCGPTPEER", describe(fd)))?;
    // SAFETY: the call above succeeded, so ret is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(ret) })
}

/// The number N of `/dev/pts/N` of the terminal whose multiplexer is given (`TIOCGPTN`).
///
/// # Errors
/// What the kernel says.
pub fn number(multiplexer: impl AsFd) -> Result<u32> {
    let fd = multiplexer.as_fd();
    let mut number: libc::c_uint = 0;
    // SAFETY: TIOCGPTN writes one unsigned int into a live variable.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGPTN, &raw mut number) };
    check(ret.into(), "ioctl", || format!("{}, TIOCGPTN", describe(fd)))?;
    Ok(number)
}

/// Makes a terminal the controlling one of this session; the caller has called `setsid`.
///
/// # Errors
/// `EPERM` when the session has one already.
pub fn set_controlling(terminal: impl AsFd) -> Result<()> {
    let fd = terminal.as_fd();
    // SAFETY: TIOCSCTTY takes an int by value.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) };
    check(ret.into(), "ioctl", || format!("{}, TIOCSCTTY", describe(fd))).map(drop)
}

/// The size of a terminal.
///
/// # Errors
/// `ENOTTY` for what is none.
pub fn size(terminal: impl AsFd) -> Result<Size> {
    let fd = terminal.as_fd();
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize into a live variable.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    check(ret.into(), "ioctl", || format!("{}, TIOCGWINSZ", describe(fd)))?;
    Ok(Size { rows: size.ws_row, columns: size.ws_col })
}

/// Sets the size of a terminal.
///
/// # Errors
/// `ENOTTY` for what is none.
pub fn set_size(terminal: impl AsFd, size: Size) -> Result<()> {
    let fd = terminal.as_fd();
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize from a live variable.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    check(ret.into(), "ioctl", || format!("{}, TIOCSWINSZ", describe(fd))).map(drop)
}

/// A terminal's modes, to be put back later.
#[derive(Debug, Clone)]
pub struct Modes(Termios);

/// The modes of a terminal.
///
/// # Errors
/// `ENOTTY` for what is none.
pub fn modes(terminal: impl AsFd) -> Result<Modes> {
    let fd = terminal.as_fd();
    nix::sys::termios::tcgetattr(fd).map(Modes).context("tcgetattr", || describe(fd))
}

/// Sets modes that [`modes`] returned.
///
/// # Errors
/// `ENOTTY` for what is none.
pub fn set_modes(terminal: impl AsFd, modes: &Modes) -> Result<()> {
    let fd = terminal.as_fd();
    nix::sys::termios::tcsetattr(fd, SetArg::TCSANOW, &modes.0).context("tcsetattr", || describe(fd))
}

/// Raw mode: every byte passes as it is (`cfmakeraw(3)`). Returns the modes of before.
///
/// # Errors
/// `ENOTTY` for what is none.
pub fn set_raw(terminal: impl AsFd) -> Result<Modes> {
    let fd = terminal.as_fd();
    let before = modes(fd)?;
    let mut raw = before.0.clone();
    nix::sys::termios::cfmakeraw(&mut raw);
    set_modes(fd, &Modes(raw))?;
    Ok(before)
}

/// Raw mode for what is typed alone: what is shown is still processed, so that a newline begins a line. Returns the modes
/// of before.
///
/// # Errors
/// `ENOTTY` for what is none.
pub fn set_raw_input(terminal: impl AsFd) -> Result<Modes> {
    let fd = terminal.as_fd();
    let before = modes(fd)?;
    let mut raw = before.0.clone();
    nix::sys::termios::cfmakeraw(&mut raw);
    raw.output_flags = before.0.output_flags | nix::sys::termios::OutputFlags::OPOST;
    set_modes(fd, &Modes(raw))?;
    Ok(before)
}

/// Lets newlines pass as they are, without a carriage return.
///
/// # Errors
/// `ENOTTY` for what is none.
pub fn pass_newlines(terminal: impl AsFd) -> Result<()> {
    let fd = terminal.as_fd();
    let mut modes = modes(fd)?;
    modes.0.output_flags.remove(nix::sys::termios::OutputFlags::ONLCR);
    set_modes(fd, &modes)
}

/// Makes what is typed invisible, line by line as before. Returns the modes of before.
///
/// # Errors
/// `ENOTTY` for what is none.
pub fn hide_typing(terminal: impl AsFd) -> Result<Modes> {
    let fd = terminal.as_fd();
    let before = modes(fd)?;
    let mut hidden = before.0.clone();
    hidden.local_flags.remove(nix::sys::termios::LocalFlags::ECHO);
    set_modes(fd, &Modes(hidden))?;
    Ok(before)
}

/// Whether a descriptor is a terminal.
#[must_use]
pub fn is_terminal(fd: impl AsFd) -> bool {
    size(fd).is_ok()
}
