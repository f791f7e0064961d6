//! The limit on open files: every connection is one, and the usual soft limit of 1,024 is far below what the listeners
//! allow.

/// Raises the soft limit to the hard one and returns it. On systems without the notion it changes nothing.
///
/// # Errors
/// What the system says; the process works on, with fewer connections.
pub fn raise() -> std::io::Result<u64> {
    rlimit::increase_nofile_limit(u64::MAX)
}
