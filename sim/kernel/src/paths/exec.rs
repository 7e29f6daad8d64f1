//! `exec`: a process gets a new, empty address space.
//!
//! Follows fs/exec.c of v2.6.27 (`exec_mmap`).

use super::exit::mmput;
use crate::mm::Mm;
use crate::task::Task;

/// `exec_mmap`: the task's old address space loses a user.
pub(crate) async fn exec_mmap(current: &Task) {
    let new = Mm::alloc(current.kernel(), current).await;
    new.join_group(current.mm().group.get());
    let old = current.replace_mm(new);
    current.kernel().stat.execs.add(1);
    mmput(current, old).await;
}
