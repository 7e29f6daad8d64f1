//! Locks, buffers and invalidation of pages of files.
