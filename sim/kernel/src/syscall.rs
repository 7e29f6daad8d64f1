//! System calls: the way into a path and out of it.

use std::future::Future;
use std::rc::Rc;

use pagewalk_mmu::{Vaddr, VaddrRange};

use crate::mm::{Mm, Prot};
use crate::paths::{self, Errno, MapRequest, event};
use crate::stat::Syscall;
use crate::task::Task;

/// Enters the kernel, runs `path`, leaves; `changed` is the range whose PTEs the call may reduce.
pub(crate) async fn system_call<R>(
    current: &Task,
    call: Syscall,
    changed: Option<VaddrRange>,
    path: impl Future<Output = Result<R, Errno>>,
    value: impl FnOnce(&R) -> u64,
) -> Result<R, Errno> {
    let kernel = current.kernel();
    kernel.probe().syscall_begins(current, call, changed);
    current.enter_syscall(call);
    kernel.enters();
    let result = path.await;
    let returned = result.as_ref().map_or_else(|&errno| u64::MAX - errno as u64, value);
    current.event(event::SYSCALL, call as u64, returned);
    kernel.leaves(current, changed);
    kernel.probe().syscall_ends(current, call, result.as_ref().err().copied());
    result
}

/// `mmap`. The work is `do_mmap`.
///
/// # Errors
/// Those of the path.
pub async fn sys_mmap(current: &Task, request: MapRequest) -> Result<Vaddr, Errno> {
    system_call(current, Syscall::Mmap, None, paths::do_mmap(current, request), |start| start.0).await
}

/// `munmap`. The work is `do_munmap`.
///
/// # Errors
/// Those of the path.
pub async fn sys_munmap(current: &Task, start: Vaddr, len: u64) -> Result<(), Errno> {
    let changed = VaddrRange::with_len(start, len);
    system_call(current, Syscall::Munmap, changed, paths::do_munmap(current, start, len), |()| 0).await
}

/// `mprotect`. The work is `mprotect`.
///
/// # Errors
/// Those of the path.
pub async fn sys_mprotect(current: &Task, start: Vaddr, len: u64, prot: Prot) -> Result<(), Errno> {
    let changed = VaddrRange::with_len(start, len);
    let path = paths::mprotect(current, start, len, prot);
    system_call(current, Syscall::Mprotect, changed, path, |()| 0).await
}

/// `madvise(MADV_DONTNEED)`. The work is `madvise_dontneed`.
///
/// # Errors
/// Those of the path.
pub async fn sys_madvise_dontneed(current: &Task, start: Vaddr, len: u64) -> Result<(), Errno> {
    let changed = VaddrRange::with_len(start, len);
    let path = paths::madvise_dontneed(current, start, len);
    system_call(current, Syscall::Madvise, changed, path, |()| 0).await
}

/// `mremap`. The work is `do_mremap`.
///
/// # Errors
/// Those of the path.
pub async fn sys_mremap(
    current: &Task,
    old_start: Vaddr,
    old_len: u64,
    new_len: u64,
    new_start: Option<Vaddr>,
) -> Result<Vaddr, Errno> {
    let changed = VaddrRange::with_len(old_start, old_len);
    let path = paths::do_mremap(current, old_start, old_len, new_len, new_start);
    system_call(current, Syscall::Mremap, changed, path, |start| start.0).await
}

/// `brk`. The work is `do_brk`.
///
/// # Errors
/// Those of the path.
pub async fn sys_brk(current: &Task, end: Vaddr) -> Result<(), Errno> {
    system_call(current, Syscall::Brk, None, paths::do_brk(current, end), |()| 0).await
}

/// `fork`: the child's address space. Whoever calls gives it a task.
///
/// # Errors
/// None; the type is that of a system call.
pub async fn sys_fork(current: &Task) -> Result<Rc<Mm>, Errno> {
    let everything = VaddrRange::new(Vaddr(0), current.kernel().hw.format().user_end());
    let path = async { Ok(paths::do_fork(current).await) };
    system_call(current, Syscall::Fork, everything, path, |mm| u64::from(mm.id())).await
}

/// `clone` of a thread: the address space has one user more. Whoever calls gives it a task.
///
/// # Errors
/// None; the type is that of a system call.
pub async fn sys_clone(current: &Task) -> Result<Rc<Mm>, Errno> {
    let path = async { Ok(paths::do_clone(current).await) };
    system_call(current, Syscall::Clone, None, path, |mm| u64::from(mm.id())).await
}

/// `execve`: the task gets an empty address space.
///
/// # Errors
/// None; the type is that of a system call.
pub async fn sys_execve(current: &Task) -> Result<(), Errno> {
    let path = async {
        paths::exec_mmap(current).await;
        Ok(())
    };
    system_call(current, Syscall::Execve, None, path, |()| 0).await
}

/// `exit`: the task leaves its address space for good.
///
/// # Errors
/// None; the type is that of a system call.
pub async fn sys_exit(current: &Task) -> Result<(), Errno> {
    current.kernel().check_before_exit();
    let path = async {
        paths::do_exit(current).await;
        Ok(())
    };
    system_call(current, Syscall::Exit, None, path, |()| 0).await
}

/// `wait4`: sleeps until `over` says that the child has ended.
///
/// # Errors
/// None; the type is that of a system call.
pub async fn sys_wait4(current: &Task, over: impl Future<Output = ()>) -> Result<(), Errno> {
    current.kernel().probe().syscall_begins(current, Syscall::Wait4, None);
    // A sleeper is not inside the kernel as far as the observers are concerned: it holds nothing.
    current.enter_syscall(Syscall::Wait4);
    over.await;
    current.event(event::SYSCALL, Syscall::Wait4 as u64, 0);
    current.kernel().probe().syscall_ends(current, Syscall::Wait4, None);
    Ok(())
}
